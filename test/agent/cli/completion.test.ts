/** `completion bash`, as bash uses it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../../helpers/agent.ts';
import { MAIN, mediatorAgent, runCommand } from '../../helpers/command.ts';

suite('bash completes', () => {
  let agent: TestAgent;
  let script = '';
  before(async () => {
    agent = await startAgent();
    agent.script('close-ticket.py', 'print(1)\n');
    script = (await mediatorAgent(['completion', 'bash'])).stdout;
  });
  after(() => agent.close());

  /** What is offered for the last word. */
  async function offered(...words: string[]): Promise<string> {
    const line = `${script}
mediator-agent() { '${process.execPath}' '${MAIN}' "$@"; }
COMP_WORDS=(mediator-agent "$@") COMP_CWORD=$#
_mediator_agent
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, stdout, stderr } = await runCommand('bash', ['-c', line, 'bash', ...words], { cwd: agent.dir });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    return stdout.trimEnd();
  }

  test('commands, their subcommands and their options', async () => {
    assert.match(await offered(''), /^init\n(.*\n)*doctor\n/);
    assert.equal(await offered('ke'), 'keys');
    assert.equal(await offered('keys', 'rot'), 'rotate');
    assert.equal(await offered('runs', 'list', '--tic'), '--ticket');
  });
  test('the values of an option that has a closed list, and files', async () => {
    assert.equal(await offered('stub', '--host', 'se'), 'securechange');
    assert.equal(await offered('runs', 'list', '--outcome', 'time'), 'timed-out');
    assert.equal(await offered('check', '--config', 'agent'), 'agent.yaml');
    assert.equal(await offered('completion', ''), 'bash');
    assert.equal(await offered('runs', 'list', '--ticket', ''), '');
  });
  test('scripts, keys and runs of the agent that the line names', async () => {
    const config = ['--config', agent.config];
    assert.equal((await agent.command(['run'], ['close-ticket'])).code, 0);
    const [row] = await agent.runs();
    assert.equal(await offered('run', ...config, 'clo'), 'close-ticket.py');
    assert.equal(await offered('stub', ...config, '--key', ''), agent.key.id);
    assert.equal(await offered('runs', 'logs', ...config, '-f', ''), row?.id);
  });
  test('names as they are: what looks like a command in one is not carried out', async () => {
    agent.script('$(touch carried-out) and more.py', 'print(1)\n');
    assert.equal(await offered('run', '--config', agent.config, '$'), '$(touch carried-out) and more.py');
    assert.ok(!existsSync(path.join(agent.dir, 'carried-out')));
  });
  test('nothing, and says nothing, where no agent answers', async () => {
    assert.equal(await offered('scripts', 'show', '--config', path.join(agent.dir, 'none.yaml'), ''), '');
  });
});
