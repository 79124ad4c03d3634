import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, beforeEach, suite, test } from 'node:test';
import { Audit } from '../../../agent/journal/audit.ts';
import { nextLink } from '../../../agent/journal/chain.ts';
import { queryOf } from '../../../agent/journal/filter.ts';
import { BY_TOKEN, Journal, LATEST } from '../../../agent/journal/journal.ts';
import { lockState } from '../../../agent/journal/lock.ts';
import { CHAINED, MIGRATIONS } from '../../../agent/journal/migrations.ts';
import type { NewRow } from '../../../agent/journal/row.ts';
import { ROOT } from '../../helpers/command.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const unreadable = (id: string): never => assert.fail(`${id} cannot be read`);

const folder = temporaryFolder({ after });

suite('the journal', () => {
  let file: string;
  let journal: Journal;
  let count = 0;

  beforeEach(() => {
    file = path.join(folder, `journal-${(count += 1)}`, 'journal.db');
    journal = new Journal(file);
  });
  afterEach(() => {
    journal.close();
  });

  function row(fields: Partial<NewRow> & { id: string }): NewRow {
    return {
      token: `token of ${fields.id}`,
      key: 'stub-1',
      address: '192.0.2.1',
      script: 'close.py',
      sha256: 'ab',
      manifest_sha256: '',
      host: 'securechange',
      event: 'CLOSE',
      ticket: '7',
      subject: '',
      requester: '',
      stage: '',
      identity: '',
      args: ['a b', '\u{1f525}', ''],
      env: { SCW_EVENT: 'CLOSE' },
      timeout_ms: 1000,
      stdin: 3,
      stdin_sha256: 'cd',
      rerun_of: null,
      accepted: 1_780_000_000_000,
      ...fields,
    };
  }

  const totals = { stdout: 10, stdout_sha256: 'aa', stderr: 20, stderr_sha256: 'bb', order_sha256: 'cc' };
  const ended = { outcome: 'exited', code: 3, ...totals, message: '', reply: null, ended: 5 } as const;
  const ids = async (filter: Partial<Parameters<Journal['list']>[0]>): Promise<string[]> =>
    (await journal.list({ limit: 100, ...filter })).map(({ id }) => id);

  function assertWholeChain(length: number): void {
    const audit = new Audit(file);
    assert.deepEqual(
      [...audit.chain(unreadable)].map(({ row: { link, seq }, expected }) => [seq, link === expected]),
      Array.from({ length }, (_, index) => [index + 1, true]),
    );
    audit.close();
  }

  test('gives back what was put in, by id and by token', () => {
    const given = row({ id: '1' });
    journal.insert(given);
    const known = journal.byId('1');
    assert.ok(known);
    for (const [name, value] of Object.entries(given))
      assert.deepEqual(Object.entries(known).find(([field]) => field === name)?.[1], value, name);
    assert.deepEqual(journal.byToken('token of 1'), known);
    assert.equal(journal.byId('2'), undefined);
    assert.equal(journal.byToken('1'), undefined);
  });
  test('takes a token once', async () => {
    journal.insert(row({ id: '1', token: 't' }));
    assert.throws(() => journal.insert(row({ id: '2', token: 't' })));
    assert.deepEqual(await ids({}), ['1']);
  });
  test('knows which runs are open, oldest first', () => {
    for (const id of ['3', '1', '2']) journal.insert(row({ id }));
    journal.settle('2', ended);
    assert.deepEqual(
      journal.open().map(({ id }) => id),
      ['1', '3'],
    );
  });
  test('settles a run once: the first outcome stays', () => {
    journal.insert(row({ id: '1' }));
    journal.start('1', 4, 99, 'boot');
    journal.settle('1', ended);
    journal.settle('1', { ...ended, outcome: 'lost', code: 125 });
    const known = journal.byId('1');
    assert.deepEqual([known?.outcome, known?.code, known?.pid, known?.boot, known?.stdout], ['exited', 3, 99, 'boot', 10]);
  });
  test('writes together what is given to it in one turn, each with its own result', async () => {
    for (const id of ['1', '2', '3']) journal.insert(row({ id }));
    const heads = await Promise.all(['3', '1', '2'].map((id) => journal.together(() => journal.settle(id, ended))));
    assert.deepEqual(
      heads.map((head) => head?.seq),
      [1, 2, 3],
    );
    assertWholeChain(3);
  });
  test('what fails among what is written together fails alone, and leaves the chain whole', async () => {
    for (const id of ['1', '2']) journal.insert(row({ id }));
    const results = await Promise.allSettled([
      journal.together(() => journal.settle('1', ended)),
      journal.together(() => journal.insert(row({ id: '2' }))),
      journal.together(() => journal.settle('2', ended)),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual([journal.byId('1')?.outcome, journal.byId('2')?.outcome], ['exited', 'exited']);
    assertWholeChain(2);
  });
  test('what waits to be written together is written when it is closed', async () => {
    journal.insert(row({ id: '1' }));
    const settled = journal.together(() => journal.settle('1', ended));
    journal.close();
    assert.equal((await settled)?.seq, 1);
    journal = new Journal(file);
    assert.equal(journal.byId('1')?.outcome, 'exited');
  });
  test('puts what ends into a chain, in the order of the ends, and goes on with it after it was opened again', () => {
    for (const id of ['1', '2', '3']) journal.insert(row({ id }));
    const first = journal.settle('2', ended);
    assert.equal(first?.seq, 1);
    assert.equal(journal.settle('2', ended), undefined);
    journal.close();
    journal = new Journal(file);
    assert.equal(journal.settle('1', ended)?.seq, 2);
    assert.equal(journal.settle('3', ended)?.seq, 3);
    const audit = new Audit(file);
    const chain = [...audit.chain(unreadable)];
    assert.deepEqual(
      chain.map(({ row: { id, seq } }) => [id, seq]),
      [
        ['2', 1],
        ['1', 2],
        ['3', 3],
      ],
    );
    for (const {
      row: { link },
      expected,
    } of chain)
      assert.equal(link, expected);
    assert.equal(chain[0]?.row.link, first.link);
    audit.close();
  });
  test('has another link wherever a field of a run that has ended was changed', () => {
    journal.insert(row({ id: '1' }));
    journal.start('1', 4, 99, 'boot');
    journal.settle('1', { ...ended, reply: Buffer.from('reply') });
    journal.close();
    const loose = ['seq', 'link', 'acknowledged', 'removed'];
    const database = new DatabaseSync(file);
    const columns = database.prepare("SELECT name, type FROM pragma_table_info('runs')").all();
    assert.ok(columns.length > 30);
    for (const { name, type } of columns) {
      database.exec('BEGIN');
      const value =
        type === 'INTEGER'
          ? '12345'
          : type === 'BLOB'
            ? "x'00'"
            : name === 'args'
              ? `'["x"]'`
              : name === 'env'
                ? `'{"X":"x"}'`
                : name === 'host'
                  ? "'generic'"
                  : name === 'outcome'
                    ? "'lost'"
                    : "'x'";
      database.exec(`UPDATE runs SET ${String(name)} = ${value}`);
      const raw = database.prepare('SELECT * FROM runs').get();
      assert.ok(raw);
      assert.equal(nextLink({ seq: 0, link: '' }, raw).link === raw.link, loose.includes(String(name)) && name !== 'link', String(name));
      database.exec('ROLLBACK');
    }
    database.close();
    journal = new Journal(file);
  });
  test('is on the disk when it was flushed, together with what others flush meanwhile', async () => {
    for (let id = 0; id < 20; id += 1) journal.insert(row({ id: String(id) }));
    await Promise.all(Array.from({ length: 20 }, () => journal.flush()));
    await journal.flush();
    const last = journal.flush();
    journal.close();
    await last;
    await journal.flush();
    journal = new Journal(file);
  });
  test('forgets what ended first, by age and by number, and never what goes on or has its folder', async () => {
    const forget = (before: number, rows: number): Promise<string[]> => {
      while (journal.pruning.forget(before, rows, 2) > 0);
      return ids({});
    };
    for (const id of ['1', '2', '3', '4', '5', '6']) journal.insert(row({ id }));
    for (const [index, id] of ['2', '3', '4', '5', '6'].entries()) journal.settle(id, { ...ended, ended: 100 + index });
    journal.attach('again', '2', 'k', 1);
    assert.deepEqual(await forget(1000, 0), ['6', '5', '4', '3', '2', '1']);
    for (const { id } of journal.pruning.spooled(0, 3)) journal.pruning.markRemoved(id, 9);
    assert.deepEqual(
      journal.pruning.spooled(0, 9).map(({ id }) => id),
      ['5', '6'],
    );
    assert.deepEqual(await forget(0, 4), ['6', '5', '4', '3', '1']);
    assert.deepEqual(await forget(102, 9), ['6', '5', '4', '1']);
    assert.deepEqual(await forget(1000, 0), ['6', '5', '1']);
    for (const { id } of journal.pruning.spooled(0, 9)) journal.pruning.markRemoved(id, 9);
    assert.deepEqual(await forget(1000, 0), ['1']);
    assert.equal(journal.byToken('again'), undefined);
    journal.close();
    journal = new Journal(file);
    assert.equal(journal.settle('1', ended)?.seq, 6);
    const audit = new Audit(file);
    assert.deepEqual(
      [...audit.chain(unreadable)].map(({ row: { link }, expected }) => link === expected),
      [true],
    );
    audit.close();
  });
  test('says of a run that was refused in the end that it never started', () => {
    journal.insert(row({ id: '1' }));
    journal.start('1', 4, 0, '');
    journal.settle('1', { ...ended, outcome: 'refused', code: 126 });
    assert.equal(journal.byId('1')?.started, null);
  });
  test('remembers the first acknowledgement', () => {
    journal.insert(row({ id: '1' }));
    journal.acknowledge('1', 8);
    journal.acknowledge('1', 9);
    assert.equal(journal.byId('1')?.acknowledged, 8);
  });
  test('lists newest first, filtered by every field, page by page', async () => {
    journal.insert(row({ id: '1', script: 'a.py', ticket: '1' }));
    journal.insert(row({ id: '2', script: 'a.py', event: 'CANCEL', key: 'other' }));
    journal.insert(row({ id: '3', script: 'ab.py', ticket: '1' }));
    journal.insert(row({ id: '4', script: 'a', ticket: '1' }));
    journal.settle('4', ended);
    assert.deepEqual(await ids({}), ['4', '3', '2', '1']);
    assert.deepEqual(await ids({ ticket: '1' }), ['4', '3', '1']);
    assert.deepEqual(await ids({ script: 'a' }), ['4', '2', '1']);
    assert.deepEqual(await ids({ script: 'a.py' }), ['2', '1']);
    assert.deepEqual(await ids({ event: 'CANCEL' }), ['2']);
    assert.deepEqual(await ids({ outcome: 'exited' }), ['4']);
    assert.deepEqual(await ids({ key: 'other', event: 'CLOSE' }), []);
    assert.deepEqual(await ids({ before: '3' }), ['2', '1']);
    assert.deepEqual(await ids({ limit: 2 }), ['4', '3']);
  });
  test('lets others have their turn while it looks through much, and misses nothing at the joints', async () => {
    const name = (index: number): string => `01${String(index).padStart(24, '0')}`;
    await journal.together(() => {
      for (let index = 0; index < 10_000; index += 1) journal.insert(row({ id: name(index), key: index % 100 === 0 ? 'rare' : 'other' }));
    });
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      timer = setImmediate(turn);
    };
    let timer = setImmediate(turn);
    const found = await ids({ key: 'rare' });
    clearImmediate(timer);
    assert.deepEqual(
      found,
      Array.from({ length: 100 }, (_, index) => name(9900 - index * 100)),
    );
    assert.ok(turns >= 4, `${turns} turns`);
    for (const [limit, before] of [
      [2047, 9999],
      [2048, 9999],
      [2049, 2049],
      [5000, 2048],
      [9999, 10_000],
    ] as const) {
      const expected = Array.from({ length: Math.min(limit, before) }, (_, index) => name(before - 1 - index));
      assert.deepEqual(await ids({ limit, before: name(before) }), expected);
    }
  });
  test('takes a filter for what it is: no pattern, no SQL', async () => {
    journal.insert(row({ id: '1', script: 'a.py' }));
    for (const text of ['*', '?', '[a]', 'a*', "' OR 1=1 --", '%', 'a_py']) {
      assert.deepEqual(await ids({ script: text }), [], text);
      assert.deepEqual(await ids({ ticket: text }), [], text);
    }
  });
  test('is the same after it was closed, and after its process was killed', async () => {
    journal.insert(row({ id: '1' }));
    journal.close();
    const program = `
      const { Journal } = await import(${JSON.stringify(path.join(ROOT, 'agent/journal/journal.ts'))});
      const journal = new Journal(process.argv[1]);
      journal.insert({ ...JSON.parse(process.argv[2]), id: '2', token: '2' });
      process.kill(process.pid, 'SIGKILL');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, file, JSON.stringify(row({ id: '0' }))], {
      stdio: 'inherit',
    });
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    journal = new Journal(file);
    assert.deepEqual(await ids({}), ['2', '1']);
  });
  test('of an earlier version is brought up to date, and keeps its runs', () => {
    for (let version = 1; version < MIGRATIONS.length; version += 1) {
      const old = path.join(folder, `old-${version}`, 'journal.db');
      mkdirSync(path.dirname(old));
      const database = new DatabaseSync(old);
      for (const step of MIGRATIONS.slice(0, version)) database.exec(step);
      database.exec(`PRAGMA user_version = ${version}`);
      const columns = 'id, token, key, address, script, sha256, host, event, ticket, args, env, timeout_ms, stdin, accepted, outcome, code';
      database.exec(
        `INSERT INTO runs (${columns}) VALUES ('1', 't', 'k', '', 'a.py', '', 'generic', '', '', '[]', '{}', 1, 0, 1, 'exited', 0)`,
      );
      database.close();
      const migrated = new Journal(old);
      assert.equal(migrated.byId('1')?.outcome, 'exited');
      assert.equal(migrated.byToken('t')?.id, '1');
      if (version < CHAINED) assert.equal(migrated.byId('1')?.seq, 1, 'what had ended is at the beginning of the chain');
      migrated.insert(row({ id: '2' }));
      migrated.close();
    }
  });
  test('finds the runs of a ticket, of a token and of an event by an index, however many there are', () => {
    const database = new DatabaseSync(file, { readOnly: true });
    const ofTicket = queryOf({ ticket: '7', limit: 1 });
    const queries = [
      { sql: ofTicket.sql, values: ['', '~', ...ofTicket.values, 1] },
      { sql: BY_TOKEN, values: [] },
      { sql: LATEST, values: ['x'] },
    ];
    for (const { sql, values } of queries) {
      const explained = database.prepare(`EXPLAIN QUERY PLAN ${sql}`);
      const plan = sql.includes(':token') ? explained.all({ token: 't' }) : explained.all(...values);
      assert.ok(!sql.includes('id >= ?') || plan.every(({ detail }) => !String(detail).includes('autoindex')), 'by the range of ids');
      assert.deepEqual(
        plan.map(({ detail }) => String(detail)).filter((detail) => detail.startsWith('SCAN')),
        [],
        sql,
      );
    }
    database.close();
  });
  test('of before manifests were in it goes on with its chain, which is what it was', () => {
    journal.close();
    file = path.join(folder, 'before-manifests', 'journal.db');
    mkdirSync(path.dirname(file));
    const database = new DatabaseSync(file);
    const before = MIGRATIONS.findIndex((step) => step.includes('manifest_sha256'));
    for (const step of MIGRATIONS.slice(0, before)) database.exec(step);
    database.exec(`PRAGMA user_version = ${before}`);
    const columns = 'id, token, key, address, script, sha256, host, event, ticket, args, env, timeout_ms, stdin, accepted, outcome, code';
    const values = `'1', 't', 'k', '', 'a.py', 'ab', 'generic', '', '7', '[]', '{}', 1, 0, 1, 'exited', 0`;
    const link = '1db9c50698347d09bf0aad34e16581c3ce17c097642707de6b602279b872b74c'; // as that version made it
    database.exec(`INSERT INTO runs (${columns}, seq, link) VALUES (${values}, 1, '${link}')`);
    database.close();
    journal = new Journal(file);
    assert.equal(journal.byId('1')?.manifest_sha256, null);
    journal.insert(row({ id: '2', manifest_sha256: 'ef' }));
    journal.settle('2', ended);
    assertWholeChain(2);
    for (const [id, value] of [
      ['1', "''"],
      ['2', 'NULL'],
      ['2', "'ee'"],
    ] as const) {
      const tampered = new DatabaseSync(file);
      const was = journal.byId(id)?.manifest_sha256 ?? null;
      tampered.exec(`UPDATE runs SET manifest_sha256 = ${value} WHERE id = '${id}'`);
      const audit = new Audit(file);
      const broken = [...audit.chain(unreadable)].filter(({ row: { link: had }, expected }) => had !== expected);
      assert.deepEqual(
        broken.map(({ row: { id: found } }) => found),
        [id],
      );
      audit.close();
      tampered.prepare('UPDATE runs SET manifest_sha256 = ? WHERE id = ?').run(was, id);
      tampered.close();
    }
  });
  test('of a later version is refused, and left as it is', () => {
    journal.close();
    const database = new DatabaseSync(file);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    database.close();
    assert.throws(() => new Journal(file));
    const again = new DatabaseSync(file);
    assert.deepEqual({ ...again.prepare('PRAGMA user_version').get() }, { user_version: MIGRATIONS.length + 1 });
    again.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    again.close();
    journal = new Journal(file);
  });
});

suite('the lock of a state folder', () => {
  test('is taken once, and can be taken again when it was given back', () => {
    const state = path.join(folder, 'locked');
    const unlock = lockState(state);
    assert.throws(() => lockState(state));
    lockState(path.join(folder, 'another'))();
    unlock();
    lockState(state)();
  });
  test('is free again when its holder was killed', async () => {
    const state = path.join(folder, 'killed');
    const program = `
      const { lockState } = await import(${JSON.stringify(path.join(ROOT, 'agent/journal/lock.ts'))});
      globalThis.unlock = lockState(process.argv[1]); // or the garbage collector would give the lock back
      console.log('locked');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, state], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    assert.throws(() => lockState(state));
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    lockState(state)();
  });
});
