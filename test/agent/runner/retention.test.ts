import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import pino from 'pino';
import { z } from 'zod';
import type { Config } from '../../../agent/config/config.ts';
import { Journal } from '../../../agent/journal/journal.ts';
import { measure, totalsOf } from '../../../agent/keeper/digest.ts';
import { Registry } from '../../../agent/runner/registry.ts';
import { Retention } from '../../../agent/runner/retention.ts';
import { Run } from '../../../agent/runner/run.ts';
import { Spool } from '../../../agent/runner/spool.ts';
import { Failure } from '../../../protocol/failures.ts';
import { newFolder } from '../../helpers/folder.ts';
import { until } from '../../helpers/wait.ts';

const KIB = 1024;
const MINUTE = 60_000;
const FOREVER = 1e12;

suite('retention', () => {
  let folder: string;
  let journal: Journal;
  let spool: Spool;
  let registry: Registry;
  const Line = z.object({ msg: z.string(), reason: z.string().optional() });
  const lines: z.output<typeof Line>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(Line.parse(JSON.parse(line))) });

  beforeEach(() => {
    folder = newFolder();
    lines.length = 0;
    journal = new Journal(path.join(folder, 'journal.db'));
    spool = new Spool(path.join(folder, 'spool'));
    registry = new Registry(journal, spool);
  });
  afterEach(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });

  type Settings = Config['retention'];
  function retention(settings: Partial<Settings>, free = 0): Retention {
    const runs = { 'spool-age': FOREVER, 'spool-size': FOREVER, 'journal-age': FOREVER, 'journal-runs': FOREVER };
    const kept: Settings = { ...runs, 'refused-age': FOREVER, 'refused-calls': FOREVER, ...settings };
    const limits = { concurrency: 1, queue: 1, connections: 1, handshakes: 1, stdin: 1, 'disk-free': free };
    return new Retention({ config: { retention: kept, limits, state: folder }, log, journal, spool, registry });
  }

  function begin(id: string, output = Buffer.alloc(0)): void {
    mkdirSync(spool.folder(id));
    writeFileSync(path.join(spool.folder(id), 'stdout'), output);
    journal.insert({
      ...{
        id,
        token: id,
        key: 'k',
        address: '',
        script: 'a.sh',
        sha256: '',
        manifest_sha256: '',
        host: 'generic',
        event: '',
        ticket: '',
        subject: '',
      },
      ...{
        requester: '',
        stage: '',
        identity: '',
        args: [],
        env: {},
        timeout_ms: 1,
        stdin: 0,
        stdin_sha256: '',
        rerun_of: null,
        accepted: 1,
      },
    });
  }

  /** A run that ended so many minutes ago. */
  function ended(id: string, minutes: number, { size = 10 * KIB, acknowledged = true } = {}): void {
    const output = Buffer.alloc(size, id);
    begin(id, output);
    const totals = totalsOf({ stdout: measure(output), stderr: measure(Buffer.alloc(0)) });
    journal.settle(id, { outcome: 'exited', code: 0, ...totals, message: '', reply: null, ended: Date.now() - minutes * MINUTE });
    if (acknowledged) journal.acknowledge(id, Date.now());
  }

  const kept = (): string => spool.runs().sort().join('');
  const known = async (): Promise<string> =>
    (await journal.list({ limit: 99 }))
      .map(({ id }) => id)
      .sort()
      .join('');
  const isFull = (error: unknown): boolean => error instanceof Failure && error.code === 'spool-full';

  test('removes the output of what ended too long ago, and keeps its row', async () => {
    for (const [id, minutes] of Object.entries({ a: 90, b: 70, c: 50 })) ended(id, minutes);
    begin('d');
    await retention({ 'spool-age': 60 * MINUTE }).look();
    assert.deepEqual([kept(), await known()], ['cd', 'abcd']);
    assert.notEqual(journal.byId('a')?.removed, null);
    assert.equal(journal.byId('c')?.removed, null);
  });
  test('removes the oldest output until the rest fits, and never that of a run that goes on', async () => {
    begin('0', Buffer.alloc(100 * KIB));
    for (const id of ['a', 'b', 'c', 'd']) ended(id, 30);
    const keeper = retention({ 'spool-size': 40 * KIB }); // a run of 10 KiB takes three blocks and a folder: 16 KiB
    await keeper.look();
    assert.equal(kept(), '0cd');
    ended('e', 20);
    await keeper.look();
    assert.equal(kept(), '0de');
    keeper.checkRoom();
  });
  test('leaves for a while what nobody has acknowledged: its stub may be on its way back', async () => {
    ended('a', 1, { acknowledged: false });
    ended('b', 20, { acknowledged: false });
    ended('c', 1);
    const keeper = retention({ 'spool-size': 0 });
    await keeper.look();
    assert.equal(kept(), 'a');
    assert.throws(() => keeper.checkRoom(), isFull);
    assert.equal(lines.filter(({ msg }) => msg.startsWith('no room')).length, 1);
    journal.acknowledge('a', Date.now());
    await keeper.look();
    assert.equal(kept(), '');
    keeper.checkRoom();
    assert.equal(lines.filter(({ msg }) => msg.startsWith('room for new runs again')).length, 1);
  });
  test('counts what goes on: what it has printed, what was uploaded', async () => {
    const keeper = retention({ 'spool-size': 30 * KIB });
    mkdirSync(spool.folder('live'));
    const run = new Run('live', spool.folder('live'), { token: 't', key: 'k', onCallerLoss: 'finish', held: false });
    registry.add(run);
    run.append('stdout', Buffer.alloc(20 * KIB));
    await keeper.look();
    keeper.checkRoom();
    writeFileSync(spool.incoming('x'), Buffer.alloc(20 * KIB));
    await keeper.look();
    assert.throws(() => keeper.checkRoom(), isFull);
    assert.equal(kept(), 'live');
    run.settle({ outcome: 'exited', code: 0, stdout: 20 * KIB, stderr: 0, message: '' }, null);
  });
  test('counts of what goes on also the order of its streams, which may be an eighth of them', async () => {
    const keeper = retention({ 'spool-size': 40 * KIB });
    mkdirSync(spool.folder('live'));
    const run = new Run('live', spool.folder('live'), { token: 't', key: 'k', onCallerLoss: 'finish', held: false });
    registry.add(run);
    for (let turn = 0; turn < 512; turn += 1) for (const stream of ['stdout', 'stderr'] as const) run.append(stream, Buffer.alloc(32));
    await keeper.look();
    assert.throws(() => keeper.checkRoom(), isFull);
    run.settle({ outcome: 'exited', code: 0, stdout: 16 * KIB, stderr: 16 * KIB, message: '' }, null);
  });
  test('forgets refused calls by age and by number', async () => {
    const what = { key: 'k', address: '', host: '', event: '', ticket: '', code: 'busy', reason: '' };
    for (const [script, minutes] of Object.entries({ a: 90, b: 70, c: 50, d: 30 }))
      journal.refusals.add({ ...what, script, at: Date.now() - minutes * MINUTE });
    const left = (): string[] => journal.refusals.list({ limit: 99 }).map(({ script }) => script);
    await retention({ 'refused-age': 80 * MINUTE }).look();
    assert.deepEqual(left(), ['d', 'c', 'b']);
    await retention({ 'refused-calls': 2 }).look();
    assert.deepEqual(left(), ['d', 'c']);
    journal.refusals.add({ ...what, script: 'e', at: Date.now() });
    await retention({ 'refused-calls': 2 }).look();
    assert.deepEqual(left(), ['e', 'd']);
  });
  test('lets a key that is refused again and again push out its own refusals alone', async () => {
    const what = { address: '', script: '', host: '', event: '', ticket: '', code: 'busy', reason: '', at: Date.now() };
    for (const key of ['quiet', 'calm', 'noisy', 'noisy', 'quiet', 'noisy', 'noisy', 'noisy']) journal.refusals.add({ ...what, key });
    await retention({ 'refused-calls': 5 }).look();
    assert.deepEqual(
      journal.refusals.list({ limit: 99 }).map(({ key }) => key),
      ['noisy', 'noisy', 'quiet', 'calm', 'quiet'],
    );
  });
  test('forgets rows by age and by number, but none whose output is kept', async () => {
    for (const [id, minutes] of Object.entries({ a: 90, b: 70, c: 50, d: 30 })) ended(id, minutes);
    await retention({ 'journal-age': 60 * MINUTE }).look();
    assert.equal(await known(), 'abcd');
    await retention({ 'journal-age': 60 * MINUTE, 'spool-age': 60 * MINUTE }).look();
    assert.equal(await known(), 'cd');
    await retention({ 'journal-runs': 1, 'spool-age': 10 * MINUTE }).look();
    assert.deepEqual([await known(), kept()], ['d', '']);
  });
  test('refuses where the disk has less free than it should, and says so once', () => {
    const keeper = retention({}, 1e18);
    for (let count = 0; count < 3; count += 1) assert.throws(() => keeper.checkRoom(), isFull);
    assert.equal(lines.length, 1);
    assert.match(lines[0]?.reason ?? '', /disk-free/);
  });
  test('removes folders that the journal does not know, or knows to be removed, and nothing else', async () => {
    mkdirSync(spool.folder('stranger'));
    for (const id of ['a', 'b']) ended(id, 1);
    journal.pruning.markRemoved('a', 1);
    begin('c');
    const stop = retention({}).start();
    await until('the strangers are gone', () => !existsSync(spool.folder('stranger')) && !existsSync(spool.folder('a')));
    await stop();
    assert.equal(kept(), 'bc');
  });
});
