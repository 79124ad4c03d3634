/** `runs logs` and the page: stdout and stderr in the order in which they were printed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { AGENT_ENV, MAIN, runCommand } from '../helpers/command.ts';
import { keptFunction } from '../helpers/kept.ts';
import { dial, invoke, startMessage } from '../helpers/stub.ts';
import { soon, until } from '../helpers/wait.ts';

/** A line of what the page reads. */
const Line = z.object({ stream: z.enum(['stdout', 'stderr']).optional(), data: z.base64().optional() });
const ORDER = 'out 1\nerr 1\nout 2\nerr 2\nerr 3\nout 3\n';

suite('the order of stdout and stderr', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    // Goes on when what it printed is in the spool, and before its second line when the test says so.
    agent.script(
      'turns.sh',
      `#!/bin/bash
      ${keptFunction(agent.state)}
      echo 'out 1'; kept stdout 6
      until [ -e "$1" ]; do sleep 0.01; done
      echo 'err 1' >&2; kept stderr 6
      echo 'out 2'; kept stdout 12
      echo 'err 2' >&2; echo 'err 3' >&2; kept stderr 18
      echo 'out 3'
      `,
    );
  });
  after(() => agent.close());

  /** As a terminal gets it: both streams into the same file. */
  async function printed(...args: string[]): Promise<string> {
    const file = path.join(agent.dir, 'printed');
    const fd = openSync(file, 'w');
    const command = [MAIN, 'runs', 'logs', '--config', agent.config, ...args];
    const child = spawn(process.execPath, command, { stdio: ['ignore', fd, fd], env: { ...process.env, ...AGENT_ENV } });
    closeSync(fd);
    await soon('the end of runs logs', once(child, 'close'));
    return readFileSync(file, 'utf8');
  }

  /** As the page gets it. */
  async function streamed(run: string): Promise<string> {
    const token = readFileSync(path.join(agent.dir, 'admin-token'), 'utf8').trim();
    const response = await fetch(`${agent.urls.http}/api/runs/${run}/output`, { headers: { authorization: `Bearer ${token}` } });
    const lines = (await soon('the end of the output', response.text())).trim().split('\n');
    const parts = lines.map((line) => Line.parse(JSON.parse(line))).filter(({ stream }) => stream !== undefined);
    const text = ({ data = '' }: z.output<typeof Line>): string => Buffer.from(data, 'base64').toString();
    for (const part of parts) for (const line of text(part).trim().split('\n')) assert.ok(part.stream?.endsWith(line.slice(0, 3)), line);
    return parts.map(text).join('');
  }

  async function ran(): Promise<string> {
    const { run = '' } = await invoke(agent, { script: 'turns', args: [agent.config] });
    return run;
  }

  test('is shown at a terminal without what the terminal would obey, and comes into a pipe as it is', async () => {
    const printed = '\\e[31mred\\e[0m\\e[2J\\e]0;title\\a\\xc2\\x9b1m \\xe2\\x80\\xaegnp.exe\\tb\\r\\nnext: \\xc3\\xa9\\n';
    agent.script('evil.sh', `#!/bin/bash\nprintf '${printed}'\n`);
    const { run = '' } = await invoke(agent, { script: 'evil' });
    const typed = `'${process.execPath}' '${MAIN}' runs logs --config '${agent.config}' ${run}`;
    const environment = { PATH: process.env.PATH ?? '', TERM: 'xterm', NODE_NO_WARNINGS: '1' };
    const shown = await runCommand('script', ['-qec', typed, '/dev/null'], { env: environment });
    assert.equal(shown.stdout, 'red\\x1b[2J\\x1b]0;title\\x07\\x9b1m \\u202egnp.exe\tb\r\nnext: é\r\n');
    const { stdout } = await agent.command(['runs', 'logs'], [run]);
    assert.ok(stdout.startsWith('\u001b[31mred\u001b[0m\u001b[2J'));
  });
  test('is theirs in runs logs, and a run without its record has stdout first', async () => {
    const run = await ran();
    assert.equal(await printed(run), ORDER);
    assert.equal(readFileSync(agent.spoolFile(run, 'stdout'), 'utf8'), 'out 1\nout 2\nout 3\n');
    const facts = async (): Promise<string | undefined> =>
      /^order: +(.*)$/m.exec((await agent.command(['runs', 'show'], [run])).stdout)?.[1];
    assert.equal(await facts(), 'known');
    rmSync(agent.spoolFile(run, 'order'));
    const [note, ...rest] = (await printed(run)).split('\n');
    assert.match(note ?? '', /^mediator-agent: in which order .* is not known; stdout comes first$/);
    assert.equal(rest.join('\n'), 'out 1\nout 2\nout 3\nerr 1\nerr 2\nerr 3\n');
    assert.equal(await facts(), 'not known');
    assert.equal(await printed(run, '--stdout'), 'out 1\nout 2\nout 3\n');
  });
  test('is theirs on the page, of a run that has ended and of one that goes on', async () => {
    const run = await ran();
    assert.equal(await streamed(run), ORDER);
    rmSync(agent.spoolFile(run, 'order'));
    assert.equal(await streamed(run), 'out 1\nout 2\nout 3\nerr 1\nerr 2\nerr 3\n');
    const go = path.join(agent.dir, 'go-page');
    const call = await dial(agent);
    call.send(startMessage({ script: 'turns', args: [go] }));
    call.send({ type: 'end', stdin: 0 });
    const following = streamed(await call.accepted());
    writeFileSync(go, '');
    assert.equal(await following, ORDER);
    call.destroy();
  });
  test('is theirs also for who follows, and although the runner crashed in between', async () => {
    const go = path.join(agent.dir, 'go');
    const call = await dial(agent);
    call.send(startMessage({ script: 'turns', args: [go] }));
    call.send({ type: 'end', stdin: 0 });
    const run = await call.accepted();
    await until('its first line is kept', () => existsSync(agent.spoolFile(run, 'stdout')));
    const runner = agent.part('runner') ?? 0;
    process.kill(runner, 'SIGKILL');
    await until('another runner answers', async () => {
      const found = agent.part('runner');
      return (
        found !== undefined &&
        found !== runner &&
        (await agent.run(run).then(
          () => true,
          () => false,
        ))
      );
    });
    const following = printed('-f', run);
    writeFileSync(go, '');
    assert.equal(await following, ORDER);
    call.destroy();
  });
  test('is no file more for a run that printed to one of them alone', async () => {
    agent.script('one.sh', '#!/bin/bash\necho one >&"$1"\n');
    for (const stream of ['1', '2']) {
      const { run = '' } = await invoke(agent, { script: 'one', args: [stream] });
      assert.ok(!existsSync(agent.spoolFile(run, 'order')));
    }
  });
  test('is verified, also that of a run from before it had a hash: it names no more than was printed', async () => {
    const run = await ran();
    const file = agent.spoolFile(run, 'order');
    const original = readFileSync(file);
    const found = async (): Promise<string[]> => {
      const { stdout } = await agent.command(['runs', 'verify'], ['--json']);
      return [...stdout.matchAll(new RegExp(`"run":"${run}","what":"(.*?)"`, 'g'))].map(([, what = '']) => what);
    };
    assert.deepEqual(await found(), []);
    const database = new DatabaseSync(path.join(agent.state, 'journal.db'));
    database.prepare('UPDATE runs SET order_sha256 = NULL WHERE id = ?').run(run);
    database.close();
    assert.deepEqual(await found(), ['journal'], 'the hash itself is in the chain');
    writeFileSync(file, Buffer.concat([original, original, original]));
    assert.deepEqual(await found(), ['journal', 'order']);
  });
});
