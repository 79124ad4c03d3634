import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Reader } from '../../../agent/runner/reader.ts';
import type { RunView } from '../../../agent/runner/view.ts';
import { CHUNK, LARGE } from '../../../agent/wire/large-buffers.ts';
import { LIMITS } from '../../../protocol/constants.ts';
import type { Stream, Terminal } from '../../../protocol/records.ts';
import { until } from '../../helpers/wait.ts';
import { FakeConnection } from './fake-connection.ts';

const ACCEPT = { frame: 65_536, bulk: 2 };

/** A run that the test lets grow and end. */
class FakeRun implements RunView {
  readonly id = '0'.repeat(26);
  terminal: Terminal | undefined;
  reads = 0;
  fault: Error | undefined;
  #streams: Record<Stream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  readonly subscribers = new Set<() => void>();

  length(stream: Stream): number {
    return this.#streams[stream].length;
  }

  read(stream: Stream, position: number, max: number): Buffer {
    this.reads += 1;
    if (this.fault !== undefined) throw this.fault;
    return this.#streams[stream].subarray(position, position + max);
  }

  subscribe(callback: () => void): () => void {
    this.subscribers.add(callback);
    return () => this.subscribers.delete(callback);
  }

  append(stream: Stream, text: string | Buffer): void {
    this.#streams[stream] = Buffer.concat([this.#streams[stream], Buffer.from(text)]);
    this.#tell();
  }

  end(): void {
    this.terminal = { outcome: 'exited', code: 0, stdout: this.length('stdout'), stderr: this.length('stderr'), message: '' };
    this.#tell();
  }

  #tell(): void {
    for (const callback of this.subscribers) callback();
  }
}

/** Full after each message, and empty again as soon as this turn is over: what a receiver on another processor makes of a socket. */
class QuickConnection extends FakeConnection {
  override send(data: string | Buffer): void {
    super.send(data);
    this.congested = true;
    process.nextTick(() => {
      this.drain();
    });
  }
}

/** Full after each message, until the test empties it. */
class StuckConnection extends FakeConnection {
  override send(data: string | Buffer): void {
    super.send(data);
    this.congested = true;
  }
}

suite('a reader', () => {
  function open(run = new FakeRun(), position = { stdout: 0, stderr: 0 }) {
    const connection = new FakeConnection();
    const ends: unknown[] = [];
    const reader = new Reader(connection, run, ACCEPT, position, (error) => ends.push(error));
    reader.start();
    const bytes = (stream: Stream): string =>
      connection.sent.map((message) => (message.type === 'output' && message.stream === stream ? message.data.toString() : '')).join('');
    return { connection, run, reader, ends, bytes };
  }

  test('gathers what comes quickly into one message', async () => {
    const { connection, run, bytes } = open();
    for (const letter of 'abcdefgh') run.append('stdout', letter);
    await until('the message', () => bytes('stdout') === 'abcdefgh');
    assert.ok(connection.sent.length < 8); // one, unless the machine stood still for as long as is gathered
  });
  test('sends the terminal record last, and lets go of the run', () => {
    const { connection, run, ends } = open();
    run.append('stdout', 'a');
    run.append('stderr', 'b');
    run.end();
    assert.deepEqual(
      connection.sent.map(({ type }) => type),
      ['output', 'output', 'terminal'],
    );
    assert.deepEqual(ends, [undefined]);
    assert.equal(run.subscribers.size, 0);
    run.end();
    assert.equal(connection.sent.length, 3);
  });
  test('of a run that has ended sends everything at once, from its position on', () => {
    const run = new FakeRun();
    run.append('stdout', 'abcdef');
    run.end();
    const { bytes, ends } = open(run, { stdout: 4, stderr: 0 });
    assert.equal(bytes('stdout'), 'ef');
    assert.equal(ends.length, 1);
  });
  test('reads nothing while its connection is congested, also at the end, and goes on when it has drained', () => {
    const { connection, run, bytes, ends } = open();
    connection.congested = true;
    run.append('stdout', 'a'.repeat(100_000));
    const before = run.reads;
    run.append('stdout', 'b');
    run.end();
    assert.deepEqual([run.reads, ends.length, bytes('stdout')], [before, 0, '']);
    connection.drain();
    assert.deepEqual([bytes('stdout').length, ends.length], [100_001, 1]);
  });
  test('goes on where a full connection is empty before its batch has left', async () => {
    const run = new FakeRun();
    run.append('stdout', Buffer.alloc(1_000_000, 'a'));
    run.end();
    const connection = new QuickConnection();
    let ended = false;
    new Reader(connection, run, ACCEPT, { stdout: 0, stderr: 0 }, () => (ended = true)).start();
    await until('the terminal record', () => ended);
    assert.equal(connection.sent.at(-1)?.type, 'terminal');
  });
  test('does not read the rest for a connection that is closing', () => {
    const run = new FakeRun();
    run.append('stdout', Buffer.alloc(10_000_000));
    const { connection, reader } = open();
    connection.close(1000);
    const late = new Reader(connection, run, ACCEPT, { stdout: 0, stderr: 0 }, () => undefined);
    late.start();
    assert.equal(run.reads, 0);
    late.stop();
    reader.stop();
  });
  test('that cannot read says so once, wherever it was called from, and disturbs nobody', async () => {
    const fault = new Error('the spool is gone');
    const live = open();
    live.run.fault = fault;
    live.run.append('stdout', 'a');
    await until('the timer has fired', () => live.ends.length === 1);
    assert.deepEqual(live.ends, [fault]);
    live.run.append('stdout', 'b');
    live.run.end();
    assert.equal(live.ends.length, 1);

    const waiting = open();
    waiting.connection.congested = true;
    waiting.run.append('stdout', 'a');
    waiting.run.end();
    waiting.run.fault = fault;
    waiting.connection.drain();
    assert.deepEqual(waiting.ends, [fault]);
  });
  test('gets long messages, as long as few others have one on the way that their stubs do not read', () => {
    const run = new FakeRun();
    run.append('stdout', Buffer.alloc(4 * LARGE, 'a'));
    const stuck = Array.from({ length: 9 }, () => {
      const connection = new StuckConnection();
      const reader = new Reader(connection, run, { frame: LIMITS.message, bulk: 2 }, { stdout: 0, stderr: 0 }, () => undefined);
      reader.start();
      return { connection, reader };
    });
    const sizes = (): number[] => stuck.map(({ connection: { sent } }) => (sent[0]?.type === 'output' ? sent[0].data.length : 0));
    const before = sizes();
    stuck[0]?.connection.drain(); // it sends its next one
    stuck[1]?.reader.stop();
    const late = new StuckConnection();
    const last = new Reader(late, run, { frame: LIMITS.message, bulk: 2 }, { stdout: 0, stderr: 0 }, () => undefined);
    last.start();
    assert.deepEqual(before, [...Array.from({ length: 8 }, () => LARGE), CHUNK]);
    assert.ok(late.sent[0]?.type === 'output' && late.sent[0].data.length === LARGE, 'there is one fewer');
    for (const { reader } of stuck) reader.stop();
    last.stop();
  });
  test('that was stopped sends nothing more', () => {
    const { connection, run, reader } = open();
    reader.stop();
    run.append('stdout', 'a');
    run.end();
    assert.deepEqual(connection.sent, []);
  });
});
