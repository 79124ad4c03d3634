/** `runs verify`: what was changed, removed or put in is found, and nothing else. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { keptFunction } from '../helpers/kept.ts';
import { dial, invoke, newToken, startMessage } from '../helpers/stub.ts';

const Line = z.union([
  z.strictObject({ run: z.string(), what: z.string(), message: z.string() }),
  z.strictObject({
    runs: z.number(),
    removed: z.number(),
    open: z.number(),
    mismatches: z.number(),
    head: z.object({ seq: z.number(), link: z.string() }),
  }),
]);

suite('runs verify', () => {
  let agent: TestAgent;
  const ids: string[] = [];

  before(async () => {
    agent = await startAgent();
    agent.script('echo.sh', '#!/bin/bash\necho "error $1" >&2\ncat\nexit "$1"\n');
    agent.script(
      'both.sh',
      `#!/bin/bash\n${keptFunction(agent.state)}\necho a; kept stdout 2\necho bc >&2; kept stderr 3\necho def; kept stdout 6\necho g >&2\n`,
    );
    agent.script('wait.sh', '#!/bin/bash\necho first\nread -r\nsleep 60\n');
    for (const [index, stdin] of [Buffer.from('small'), Buffer.alloc(300_000, 'x'), Buffer.alloc(0)].entries()) {
      const { run = '' } = await invoke(agent, { script: 'echo', args: [String(index)] }, { stdin });
      ids.push(run);
    }
    const padded = await dial(agent);
    padded.send(startMessage({ script: 'echo', args: ['3'] }));
    padded.sendStdin(Buffer.alloc(200_000, 'p'), 150_000);
    await padded.terminal();
    ids.push(padded.run ?? '');
    await padded.ack();
  });
  after(() => agent.close());

  async function verify(args: string[] = []): Promise<{ code: number | null; found: string[]; head: string; open: number; runs: number }> {
    const { code, stdout, stderr } = await agent.command(['runs', 'verify'], ['--json', ...args]);
    assert.equal(stderr, '');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => Line.parse(JSON.parse(line)));
    const result = lines.at(-1);
    assert.ok(result !== undefined && 'head' in result, stdout);
    const found = lines.flatMap((line) => ('run' in line ? [`${String(ids.indexOf(line.run))} ${line.what}`] : []));
    assert.equal(result.mismatches, found.length);
    return { code, found, head: `${result.head.seq}:${result.head.link}`, open: result.open, runs: result.runs };
  }

  /** Changes the journal as somebody with a database tool would; the result undoes it. */
  function tamper(sql: string): () => void {
    const file = path.join(agent.state, 'journal.db');
    const database = new DatabaseSync(file, { enableForeignKeyConstraints: false });
    const rows = database.prepare('SELECT * FROM runs').all();
    database.exec(sql);
    return () => {
      database.exec('DELETE FROM runs');
      for (const row of rows) {
        const names = Object.keys(row);
        database.prepare(`INSERT INTO runs (${names.join()}) VALUES (${names.map(() => '?').join()})`).run(...Object.values(row));
      }
      database.close();
    };
  }

  test('finds nothing where nothing was touched, beside a running agent', async () => {
    const { code, found, runs } = await verify();
    assert.deepEqual([code, found, runs], [0, [], 4]);
    const { stdout } = await agent.command(['runs', 'verify']);
    assert.match(stdout, /^ok +4 runs; 0 mismatches; the chain ends with 4:[0-9a-f]{64}\n$/);
  });
  test('leaves runs that go on for later', async () => {
    const token = newToken();
    const call = await dial(agent);
    call.send(startMessage({ script: 'wait', token }));
    call.send({ type: 'end', stdin: 0 });
    const run = await call.accepted();
    const { code, open } = await verify();
    assert.deepEqual([code, open], [0, 1]);
    await agent.command(['runs', 'cancel'], [run]);
    await call.terminal();
    ids.push(run);
    await call.ack();
    assert.deepEqual(await verify().then(({ code, open, runs }) => [code, open, runs]), [0, 0, 5]);
  });
  for (const stream of ['stdin', 'stdout', 'stderr']) {
    test(`finds bytes of ${stream} that are too many, missing or changed`, async () => {
      const file = agent.spoolFile(ids[0] ?? '', stream);
      const original = readFileSync(file);
      const changes: (() => void)[] = [
        () => {
          appendFileSync(file, 'x');
        },
        () => {
          writeFileSync(file, original.subarray(1));
        },
        () => {
          writeFileSync(file, Buffer.from(original.map((byte, index) => (index === 0 ? byte ^ 1 : byte))));
        },
        () => {
          rmSync(file);
        },
      ];
      for (const change of changes) {
        change();
        const { code, found } = await verify();
        assert.deepEqual([code, found], [1, [`0 ${stream}`]]);
        writeFileSync(file, original);
      }
      assert.equal((await verify()).code, 0);
    });
  }
  test('finds a file where a run printed nothing', async () => {
    const file = agent.spoolFile(ids[2] ?? '', 'stdin');
    writeFileSync(file, 'put in');
    assert.deepEqual((await verify()).found, ['2 stdin']);
    const { stdout } = await agent.command(['runs', 'verify']);
    rmSync(file);
    assert.match(stdout, /^FAIL {2}5 runs; 1 mismatch; the chain ends with /m);
  });
  test('finds a row that was changed, removed, put in or reordered', async () => {
    const id = ids.map((run) => `'${run}'`);
    const cases: [string, string[]][] = [
      [`UPDATE runs SET code = 0 WHERE id = ${id[1]}`, ['1 journal']],
      [`UPDATE runs SET ticket = '4711' WHERE id = ${id[2]}`, ['2 journal']],
      [`UPDATE runs SET args = '["9"]' WHERE id = ${id[0]}`, ['0 journal']],
      [`UPDATE runs SET args = 'x' WHERE id = ${id[1]}`, ['1 journal']],
      [`UPDATE runs SET outcome = 'splendid' WHERE id = ${id[1]}`, ['1 journal']],
      [`UPDATE runs SET order_sha256 = NULL WHERE id = ${id[1]}`, ['1 journal']],
      [`DELETE FROM runs WHERE id = ${id[1]}`, ['2 journal']],
      [`DELETE FROM runs WHERE id = ${id[0]}`, ['1 journal']],
      [`UPDATE runs SET seq = NULL, link = NULL WHERE id = ${id[4]}`, ['4 journal']],
      [`UPDATE runs SET seq = 99 WHERE id = ${id[4]}`, ['4 journal']],
    ];
    for (const [sql, expected] of cases) {
      const undo = tamper(sql);
      const { code, found } = await verify();
      undo();
      assert.deepEqual([code, found], [1, expected], sql);
    }
    assert.equal((await verify()).code, 0);
  });
  test('finds by --head that the end was cut off, or the chain made anew', async () => {
    const { head } = await verify();
    assert.equal((await verify(['--head', head])).code, 0);
    const undo = tamper(`DELETE FROM runs WHERE id = '${ids[4] ?? ''}'`);
    assert.equal((await verify()).code, 0, 'by itself the chain cannot know');
    const { code, found } = await verify(['--head', head]);
    undo();
    assert.deepEqual([code, found], [1, ['-1 journal']]);
    const wrong = await agent.command(['runs', 'verify'], ['--head', '5']);
    assert.equal(wrong.code, 64);
  });
  test('finds another order of stdout and stderr, or none, within the same sizes', async () => {
    const { run = '' } = await invoke(agent, { script: 'both' });
    ids.push(run);
    const file = agent.spoolFile(run, 'order');
    const original = readFileSync(file);
    const changes = [Buffer.alloc(0), original.subarray(4), Buffer.concat([original.subarray(4), original.subarray(0, 4)])];
    for (const changed of changes) {
      writeFileSync(file, changed);
      assert.deepEqual((await verify()).found, ['5 order']);
    }
    rmSync(file);
    assert.deepEqual((await verify()).found, ['5 order']);
    writeFileSync(file, original);
    assert.deepEqual((await verify()).found, []);
    const put = agent.spoolFile(ids[2] ?? '', 'order');
    writeFileSync(put, original);
    assert.deepEqual((await verify()).found, ['2 order']);
    rmSync(put);
  });
  test('the log names the links, and needs no agent', async () => {
    const { head } = await verify();
    assert.equal(await agent.stop(), 0);
    const ended = z.looseObject({ msg: z.literal('run ended'), seq: z.number(), link: z.string() });
    const links = (await agent.log()).flatMap((line) => ended.safeParse(line).data ?? []).map(({ seq, link }) => `${seq}:${link}`);
    assert.equal(links.at(-1), head);
    assert.equal((await verify(['--head', links[1] ?? ''])).code, 0);
  });
});
