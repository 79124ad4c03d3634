import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import { judge, type Evidence } from './judge.ts';
import { invocationAt } from './schedule.ts';

const pool = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
const sum = (bytes: Buffer): string => `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
const plan: Evidence['plan'] = {
  ...invocationAt('any', 1),
  ...{ id: 'I1', script: 'plain', code: 7, signal: undefined },
  ...{ stdin: { at: 0, size: 3 }, stdout: { at: 10, size: 20 }, stderr: { at: 40, size: 5 } },
};
const [stdin, stdout, stderr] = [pool.subarray(0, 3), pool.subarray(10, 30), pool.subarray(40, 45)];
const LEDGER = ['started R1', `stdin ${sum(stdin)}`, `finished 7 ${sum(stdout)} ${sum(stderr)}`];
const row = { id: 'R1', event: 'I1', outcome: 'exited', code: 7, stdin: 3, stdout: 20, stderr: 5, message: '' };
const seen = { from: 100, to: 200, code: 7, stdout, stderr, suffered: [], accepted: ['R1'], hung: false };
const good: Evidence = {
  ...{ plan, seen, ledger: LEDGER, rows: [row], known: new Set(['R1']), troubles: [], pool },
  spooled: (_, stream) => (stream === 'stdout' ? stdout : stderr),
};
const killed: Evidence['troubles'] = [{ kind: 'kill-runner', from: 150, to: 160 }];

function faultsOf(changed: Partial<Evidence>): string[] {
  return judge({ ...good, ...changed }).map(({ fault }) => fault);
}
const half = { spooled: (_: string, stream: string) => (stream === 'stdout' ? stdout.subarray(0, 9) : stderr) };
const lostRow = { ...row, outcome: 'lost', code: 125, stdout: 9 };

suite('chaos finds', () => {
  test('nothing where all is well', () => assert.deepEqual(faultsOf({}), []));
  test('nothing where a run is lost honestly', () => {
    const end = { ...seen, code: 125, stdout: stdout.subarray(0, 9) };
    assert.deepEqual(faultsOf({ ledger: LEDGER.slice(0, 2), rows: [lostRow], seen: end, troubles: killed, ...half }), []);
  });
  test('nothing where a stub was killed and its run finished', () => {
    assert.deepEqual(
      faultsOf({ seen: { ...seen, code: null, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), suffered: ['kill-stub'] } }),
      [],
    );
  });
  test('nothing where a stub gave up its run, whose runner was killed later', () => {
    const end = { ...seen, code: 125, stdout: stdout.subarray(0, 9) };
    const troubles: Evidence['troubles'] = [
      { kind: 'kill-front', from: 150, to: 160 },
      { kind: 'kill-runner', from: 300, to: 310 },
    ];
    assert.deepEqual(faultsOf({ ledger: LEDGER.slice(0, 2), rows: [lostRow], seen: end, troubles, ...half }), []);
  });
  test('nothing where a cut connection was refused before anything was started', () => {
    const end = { ...seen, code: 69, stdout: Buffer.alloc(0), stderr: Buffer.from('mediator: away\n'), suffered: ['cut'], accepted: [] };
    assert.deepEqual(faultsOf({ ledger: [], rows: [], seen: end }), []);
  });
  test('a run that was started and is not in the journal', () =>
    assert.deepEqual(faultsOf({ rows: [], known: new Set() }), ['lost', 'lost']));
  test('a run that was accepted and is not in the journal', () => {
    assert.deepEqual(faultsOf({ seen: { ...seen, accepted: ['R1', 'R2'] } }), ['lost']);
  });
  test('a run without an end', () => assert.ok(faultsOf({ rows: [{ ...row, outcome: null, code: null }] }).includes('lost')));
  test('a stub that never came back', () => assert.deepEqual(faultsOf({ seen: { ...seen, hung: true } }), ['lost']));
  test('a script that was started twice', () => assert.deepEqual(faultsOf({ ledger: [...LEDGER, 'started R1'] }), ['doubled']));
  test('an invocation with two runs', () => assert.deepEqual(faultsOf({ rows: [row, { ...row, id: 'R2' }] }), ['doubled']));
  test('a success of a script that did not finish', () => {
    assert.deepEqual(faultsOf({ ledger: LEDGER.slice(0, 2) }), ['wrong_exits', 'wrong_exits']);
  });
  test("a code that is not the script's", () => assert.deepEqual(faultsOf({ seen: { ...seen, code: 0 } }), ['wrong_exits']));
  test('"not known" where nothing had gone wrong', () => assert.deepEqual(faultsOf({ seen: { ...seen, code: 125 } }), ['wrong_exits']));
  test('"nothing was started" where the script was', () => {
    assert.deepEqual(faultsOf({ seen: { ...seen, code: 69, suffered: ['cut'] } }), ['wrong_exits']);
  });
  test('a lost run where the runner was not killed', () => {
    assert.deepEqual(
      faultsOf({ ledger: LEDGER.slice(0, 2), rows: [lostRow], seen: { ...seen, code: 125, stdout: stdout.subarray(0, 9) }, ...half }),
      ['wrong_exits'],
    );
  });
  test('a refused run whose script was started', () => {
    assert.ok(faultsOf({ rows: [{ ...row, outcome: 'refused', code: 75 }], troubles: killed }).includes('wrong_exits'));
  });
  test('a time-out of a script that has time', () => {
    assert.ok(faultsOf({ rows: [{ ...row, outcome: 'timed-out', code: 124 }], seen: { ...seen, code: 124 } }).includes('wrong_exits'));
  });
  test('output that is not whole', () => assert.deepEqual(faultsOf({ seen: { ...seen, stdout: stdout.subarray(1) } }), ['wrong_bytes']));
  test('output with a byte too many', () => {
    assert.deepEqual(faultsOf({ seen: { ...seen, stderr: Buffer.concat([stderr, Buffer.from('x')]) } }), ['wrong_bytes']);
  });
  test('a spool that differs', () => assert.deepEqual(faultsOf({ spooled: () => stdout }), ['wrong_bytes', 'wrong_bytes']));
  test('a stdin that differs', () => {
    assert.deepEqual(faultsOf({ ledger: ['started R1', `stdin ${sum(stdout)}`, LEDGER[2] ?? ''] }), ['wrong_bytes']);
  });
});
