/** The agent as operators have it: of a release archive, which is made once for a bench. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { version } from '../../agent/config/version.ts';
import { prepareAgent, type AgentOptions, type TestAgent } from '../helpers/agent.ts';
import { ROOT, runCommand } from '../helpers/command.ts';
import { newFolder } from '../helpers/folder.ts';

/** An agent that was not started yet, with a script `true`. */
export async function prepareReleased(options: Omit<AgentOptions, 'program'> = {}): Promise<TestAgent> {
  release ??= makeRelease();
  const agent = await prepareAgent({ ...options, program: await release });
  agent.script('true', '#!/bin/true\n');
  return agent;
}

let release: Promise<string> | undefined;

async function makeRelease(): Promise<string> {
  const folder = newFolder();
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const { code, stderr } = await runCommand(process.execPath, [path.join(ROOT, 'systemd/package.ts')], { env: { MEDIATOR_DIST: folder } });
  if (code !== 0) throw new Error(`the release archive could not be made: ${stderr}`);
  return path.join(folder, `mediator-agent-${version()}/agent/bundle/mediator-agent.js`);
}
