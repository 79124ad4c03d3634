/** `scripts list` and `scripts show`. */
import { z } from 'zod';
import type { Config } from '../config/config.ts';
import { callRunner } from '../wire/runner-api.ts';
import { formatTable, printJsonLines, printable } from './terminal.ts';

const Script = z.object({
  name: z.string(),
  problem: z.object({ code: z.string(), message: z.string() }).optional(),
  sha256: z.string().optional(),
  command: z.array(z.string()).optional(),
  manifest: z.record(z.string(), z.unknown()).optional(),
});

export async function listScripts(config: Config, { json }: { json?: boolean }): Promise<void> {
  const { scripts } = z.object({ scripts: z.array(Script) }).parse(await callRunner(config.socket, 'GET', '/v1/scripts'));
  if (json === true) {
    printJsonLines(scripts);
    return;
  }
  const rows = scripts.map(({ name, problem, sha256, manifest }) => [
    name,
    problem === undefined ? 'ready' : problem.code,
    sha256?.slice(0, 12) ?? '',
    problem?.message ?? descriptionOf(manifest),
  ]);
  process.stdout.write(formatTable(['SCRIPT', 'STATE', 'SHA-256', ''], rows));
}

/** Resolves with the exit code: 1 if the script cannot run. */
export async function showScript(config: Config, name: string, { json }: { json?: boolean }): Promise<number> {
  const path = `/v1/scripts/${name.split('/').map(encodeURIComponent).join('/')}`;
  const script = Script.parse(await callRunner(config.socket, 'GET', path));
  if (json === true) {
    printJsonLines([script]);
  } else {
    const { command = [], manifest = {}, problem, sha256 = '' } = script;
    const facts = Object.entries({
      script: script.name,
      state: problem?.message ?? 'ready',
      'sha-256': sha256,
      command: command.join(' '),
      ...manifest,
    });
    process.stdout.write(
      facts
        .map(([fact, value]) => `${`${fact}:`.padEnd(18)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}\n`)
        .join(''),
    );
  }
  return script.problem === undefined ? 0 : 1;
}

function descriptionOf(manifest: Record<string, unknown> = {}): string {
  return typeof manifest.description === 'string' ? manifest.description : '';
}
