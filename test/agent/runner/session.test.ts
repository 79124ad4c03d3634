/** The states of a connection, with a clock that the test turns. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, beforeEach, mock, suite, test } from 'node:test';
import pino from 'pino';
import { Approvals } from '../../../agent/catalog/approvals.ts';
import { Catalog } from '../../../agent/catalog/catalog.ts';
import { loadConfig } from '../../../agent/config/config.ts';
import { Journal } from '../../../agent/journal/journal.ts';
import { Admission } from '../../../agent/runner/admission.ts';
import { RunnerMetrics } from '../../../agent/runner/metrics.ts';
import { Registry } from '../../../agent/runner/registry.ts';
import { Retention } from '../../../agent/runner/retention.ts';
import { Runner } from '../../../agent/runner/runner.ts';
import { Session } from '../../../agent/runner/session.ts';
import { Spool } from '../../../agent/runner/spool.ts';
import { INTERVALS } from '../../../protocol/constants.ts';
import { exitCodeOf } from '../../../protocol/failures.ts';
import { newFolder } from '../../helpers/folder.ts';
import { linkToKeeper } from '../../helpers/keeper.ts';
import { newToken, startMessage } from '../../helpers/stub.ts';
import { until } from '../../helpers/wait.ts';
import { FakeConnection } from './fake-connection.ts';

suite('a connection to the runner', () => {
  const folder = newFolder();
  const log = pino({ level: 'silent' });
  const keeper = linkToKeeper(folder);
  let journal: Journal;
  let runner: Runner;
  let connection: FakeConnection;
  let session: Session;

  before(async () => {
    await keeper.open(); // in real time
    const file = path.join(folder, 'agent.yaml');
    writeFileSync(file, 'names: [a]\nlisten: { plaintext: ["a:0"] }\nscripts: .\nsettle: 0ms\n');
    writeFileSync(path.join(folder, 'hello.sh'), '#!/bin/bash\nprintf hello\n', { mode: 0o755 });
    const config = loadConfig(file);
    assert.ok(config.ok);
    journal = new Journal(path.join(folder, 'state/journal.db'));
    const spool = new Spool(path.join(folder, 'state/spool'));
    const registry = new Registry(journal, spool);
    const parts = {
      ...{ config: config.value, log, journal, spool },
      catalog: new Catalog({ root: folder, searchPath: config.value.path, settle: 0, approvals: new Approvals(config.value) }),
      keeper,
      metrics: new RunnerMetrics(),
      admission: new Admission(config.value.limits),
      registry,
      retention: new Retention({ config: config.value, log, journal, spool, registry }),
    };
    runner = new Runner(parts);
  });
  after(async () => {
    await until('no run goes on', () => runner.status.running === 0);
    await keeper.close();
    journal.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); // the keeper may be removing its socket
  });
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    connect();
  });
  afterEach(() => {
    connection.vanish();
    mock.timers.reset();
    assert.deepEqual(incoming(), []);
  });

  const incoming = (): string[] => readdirSync(path.join(folder, 'state/spool/incoming'));
  const types = (): string[] => connection.sent.map(({ type }) => type);
  const beginUpload = (token = newToken()): void => {
    connection.receive(startMessage({ script: 'hello', token }));
    connection.receiveBinary(Buffer.alloc(100_000));
  };

  function connect(): void {
    connection = new FakeConnection();
    session = new Session(connection, runner, log);
  }

  /** A run to its end, on a connection of its own, in real time. */
  async function runToItsEnd(): Promise<string> {
    mock.timers.reset();
    const token = newToken();
    connect();
    beginUpload(token);
    connection.receive({ type: 'end', stdin: 3 });
    await until('the end of a run', () => types().includes('terminal'));
    connection.receive({ type: 'ack' });
    connection.vanish();
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    connect();
    return token;
  }

  test('that says nothing is closed after 10 s, and not before', () => {
    mock.timers.tick(INTERVALS.opening - 1);
    assert.equal(connection.closedWith, undefined);
    mock.timers.tick(1);
    assert.equal(connection.closedWith, 1001);
  });
  test('hears a tick every 10 s while its request is not complete', () => {
    beginUpload();
    mock.timers.tick(INTERVALS.tick);
    mock.timers.tick(INTERVALS.tick);
    assert.deepEqual(types(), ['tick', 'tick']);
  });
  test('that stops in the middle of its upload is closed after its time, and leaves nothing', () => {
    beginUpload();
    mock.timers.tick(INTERVALS.uploading - 1);
    connection.receiveBinary(Buffer.from('x'));
    mock.timers.tick(INTERVALS.uploading - 1);
    assert.equal(connection.closedWith, undefined);
    assert.equal(incoming().length, 1);
    mock.timers.tick(1);
    assert.equal(connection.closedWith, 1001);
    connection.vanish();
    assert.deepEqual(incoming(), []);
  });
  test('that does not answer the terminal record is closed with 1000 after 10 s, and hears no tick in the meantime', async () => {
    const token = await runToItsEnd();
    connection.receive({ type: 'resume', token, stdout: 0, stderr: 0, accept: { frame: 1024, bulk: 0 } });
    assert.deepEqual(types(), ['accepted', 'output', 'terminal']);
    mock.timers.tick(INTERVALS.settled - 1);
    assert.equal(connection.closedWith, undefined);
    mock.timers.tick(1);
    assert.equal(connection.closedWith, 1000);
    mock.timers.tick(60_000);
    assert.deepEqual(types(), ['accepted', 'output', 'terminal']);
  });
  test('that was refused is closed in the same way', () => {
    connection.receiveBinary(Buffer.from('x'));
    mock.timers.tick(INTERVALS.settled);
    assert.deepEqual([types(), connection.closedWith], [['terminal'], 1000]);
  });
  test('that acknowledges is closed with 1000, and the journal knows it', async () => {
    const token = await runToItsEnd();
    mock.timers.reset();
    await until('the acknowledgement', () => typeof journal.byToken(token)?.acknowledged === 'number');
    connection.receive({ type: 'resume', token, stdout: 0, stderr: 0, accept: { frame: 1024, bulk: 0 } });
    connection.receive({ type: 'ack' });
    assert.equal(connection.closedWith, 1000);
  });
  test('whose peer says more after end gets one terminal record, and no word about the run', async () => {
    mock.timers.reset();
    const token = newToken();
    beginUpload(token);
    connection.receive({ type: 'end', stdin: 3 });
    connection.receive({ type: 'end', stdin: 3 });
    await until('the end of the run', () => journal.byToken(token)?.outcome);
    assert.deepEqual(types(), ['terminal']);
  });
  test('that cancels while its run is being accepted ends the run at once, as a later cancel would', async () => {
    writeFileSync(path.join(folder, 'endless.sh'), '#!/bin/bash\nexec sleep 600\n', { mode: 0o755 });
    writeFileSync(path.join(folder, 'endless.yaml'), 'on-caller-loss: kill\n', { mode: 0o644 });
    mock.timers.reset();
    const token = newToken();
    connection.receive(startMessage({ script: 'endless', token }));
    connection.receive({ type: 'end', stdin: 0 });
    connection.receive({ type: 'cancel' });
    connection.vanish(1000);
    await until('the end of the run', () => journal.byToken(token)?.outcome ?? undefined);
    assert.equal(journal.byToken(token)?.outcome, 'cancelled');
  });
  test('is refused with draining when the runner stops before its request is complete', () => {
    beginUpload();
    session.stop();
    assert.deepEqual(
      connection.sent.map((message) => message.type === 'terminal' && message.code),
      [exitCodeOf('draining')],
    );
    assert.deepEqual(incoming(), []);
  });
});
