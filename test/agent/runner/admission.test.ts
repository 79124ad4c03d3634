import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { Admission, queuePatience, type Job } from '../../../agent/runner/admission.ts';
import { Failure } from '../../../protocol/failures.ts';

/** Jobs that end when the test says so. */
class Floor {
  readonly admission: Admission;
  readonly started: string[] = [];
  readonly #ends = new Map<string, () => void>();

  constructor(concurrency: number, queue: number) {
    this.admission = new Admission({ concurrency, queue });
  }

  job(name: string, fields: Partial<Omit<Job, 'run'>> = {}): Job {
    return {
      script: name,
      key: 'k',
      scriptLimit: Infinity,
      serial: undefined,
      ...fields,
      run: () => {
        this.started.push(name);
        return new Promise((resolve) => this.#ends.set(name, resolve));
      },
    };
  }

  submit(name: string, fields?: Partial<Omit<Job, 'run'>>): () => boolean {
    const job = this.job(name, fields);
    this.admission.checkRoom(job);
    return this.admission.submit(job);
  }

  async end(name: string): Promise<void> {
    const resolve = this.#ends.get(name);
    assert.ok(resolve, `${name} does not run`);
    this.#ends.delete(name);
    resolve();
    await new Promise(setImmediate);
  }

  get running(): string[] {
    return [...this.#ends.keys()];
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Failure && error.code === 'busy';
}

suite('admission', () => {
  test('starts as many as there are slots, and the others in the order of their arrival', async () => {
    const floor = new Floor(2, 10);
    for (const name of ['a', 'b', 'c', 'd', 'e']) floor.submit(name);
    assert.deepEqual(floor.started, ['a', 'b']);
    assert.deepEqual([floor.admission.running, floor.admission.queued], [2, 3]);
    await floor.end('b');
    assert.deepEqual(floor.running, ['a', 'c']);
    await floor.end('a');
    await floor.end('c');
    assert.deepEqual(floor.started, ['a', 'b', 'c', 'd', 'e']);
    await floor.end('d');
    await floor.end('e');
    assert.deepEqual([floor.admission.running, floor.admission.queued], [0, 0]);
  });
  test('refuses at once what would not fit into the queue', () => {
    const floor = new Floor(1, 1);
    floor.submit('a');
    floor.submit('b');
    assert.throws(() => floor.submit('c'), isBusy);
  });
  test('without a queue takes what can start at once, and nothing else', async () => {
    const floor = new Floor(1, 0);
    floor.submit('a');
    assert.throws(() => floor.submit('b'), isBusy);
    await floor.end('a');
    floor.submit('b');
  });
  test('keeps a script to its own limit, and lets others pass', async () => {
    const floor = new Floor(3, 10);
    const limited = { script: 's', scriptLimit: 1 };
    floor.submit('a', limited);
    floor.submit('b', limited);
    floor.submit('c');
    assert.deepEqual(floor.started, ['a', 'c']);
    await floor.end('a');
    assert.deepEqual(floor.started, ['a', 'c', 'b']);
  });
  test('takes what can start at once although the queue is full of what waits for its own script', () => {
    const floor = new Floor(3, 1);
    const limited = { script: 's', scriptLimit: 1 };
    floor.submit('a', limited);
    floor.submit('b', limited);
    assert.throws(() => floor.submit('c', limited), isBusy);
    floor.submit('d');
    assert.deepEqual(floor.running, ['a', 'd']);
  });
  test('runs what is serialized one after another, in order, also when the first of them waits for its script', async () => {
    const floor = new Floor(4, 10);
    floor.submit('first', { script: 's', scriptLimit: 1 });
    floor.submit('a', { script: 's', scriptLimit: 1, serial: '7' });
    floor.submit('b', { serial: '7' });
    floor.submit('c', { serial: '8' });
    assert.deepEqual(floor.started, ['first', 'c']);
    await floor.end('first');
    assert.deepEqual(floor.started, ['first', 'c', 'a']);
    await floor.end('a');
    assert.deepEqual(floor.started, ['first', 'c', 'a', 'b']);
  });
  test('lets keys take turns, whoever fills the queue', async () => {
    const floor = new Floor(1, 100);
    floor.submit('running', { key: 'a' });
    for (let count = 1; count <= 5; count += 1) floor.submit(`a${count}`, { key: 'a' });
    for (const name of ['b1', 'b2']) floor.submit(name, { key: 'b' });
    floor.submit('c1', { key: 'c' });
    for (let name = floor.running[0]; name !== undefined; name = floor.running[0]) await floor.end(name);
    assert.deepEqual(floor.started, ['running', 'b1', 'c1', 'a1', 'b2', 'a2', 'a3', 'a4', 'a5']);
  });
  test('lets a key that comes later have its turn before one that had many', async () => {
    const floor = new Floor(1, 100);
    for (let count = 1; count <= 4; count += 1) floor.submit(`a${count}`, { key: 'a' });
    await floor.end('a1');
    await floor.end('a2');
    floor.submit('b1', { key: 'b' });
    await floor.end('a3');
    assert.deepEqual(floor.started, ['a1', 'a2', 'a3', 'b1']);
  });
  test('keeps the order of arrival of what is serialized, also between keys', async () => {
    const floor = new Floor(1, 100);
    floor.submit('running', { key: 'b' });
    floor.submit('b1', { key: 'b', serial: '7' });
    floor.submit('a1', { key: 'a', serial: '7' });
    floor.submit('b2', { key: 'b', serial: '7' });
    floor.submit('a2', { key: 'a' });
    for (let name = floor.running[0]; name !== undefined; name = floor.running[0]) await floor.end(name);
    assert.deepEqual(
      floor.started.filter((name) => name !== 'a2'),
      ['running', 'b1', 'a1', 'b2'],
    );
  });
  test('waits for less long than the caller, who shall still hear of it', () => {
    const known = { 120_000: 108_000, 10_000: 9000, 4000: 3000, 1000: 500 };
    for (const [patience, wait] of Object.entries(known)) assert.equal(queuePatience(Number(patience)), wait);
  });
  test('without a queue refuses what is serialized behind another', () => {
    const floor = new Floor(4, 0);
    floor.submit('a', { serial: '7' });
    assert.throws(() => floor.submit('b', { serial: '7' }), isBusy);
    floor.submit('c', { serial: '8' });
  });
  test('lets a job leave the queue once, and not after it has started', async () => {
    const floor = new Floor(1, 10);
    const leaveA = floor.submit('a');
    const leaveB = floor.submit('b');
    floor.submit('c');
    assert.equal(leaveA(), false);
    assert.equal(leaveB(), true);
    assert.equal(leaveB(), false);
    await floor.end('a');
    assert.deepEqual(floor.started, ['a', 'c']);
  });
  test('whatever comes and ends, never breaks a limit, never leaves a slot empty, and forgets nobody', async () => {
    const command = fc.record({
      script: fc.constantFrom('s', 't', 'u'),
      key: fc.constantFrom('k', 'l', 'm'),
      serial: fc.constantFrom(undefined, '1', '2'),
      end: fc.nat(5),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
        const floor = new Floor(3, 100);
        const jobs = new Map<string, { script: string; serial: string | undefined }>();
        const check = (): void => {
          const running = floor.running.map((name) => jobs.get(name));
          assert.ok(running.length <= 3);
          assert.ok(running.filter((job) => job?.script === 's').length <= 1);
          const serials = running.flatMap((job) => job?.serial ?? []);
          assert.equal(new Set(serials).size, serials.length);
          assert.equal(floor.admission.running, running.length);
        };
        for (const [index, { script, key, serial, end }] of commands.entries()) {
          jobs.set(String(index), { script, serial });
          floor.submit(String(index), { script, key, serial, scriptLimit: script === 's' ? 1 : Infinity });
          check();
          const name = floor.running[end];
          if (name !== undefined) await floor.end(name);
          check();
        }
        for (let name = floor.running[0]; name !== undefined; name = floor.running[0]) await floor.end(name);
        assert.equal(floor.started.length, commands.length);
        assert.equal(floor.admission.queued, 0);
      }),
      { numRuns: 50 },
    );
  });
});
