import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { exitCodeOf, Failure, FAILURE_CODES, isFailureCode, statusOf } from '../../protocol/failures.ts';
import { isOutcome, OUTCOME_NAMES, outcomeOf } from '../../protocol/outcomes.ts';

suite('failures', () => {
  test('no failure exits with 0, nor with a code that is a signal’s', () => {
    for (const code of FAILURE_CODES) assert.ok(exitCodeOf(code) > 0 && exitCodeOf(code) < 128, code);
  });

  test('a failure that has no status of its own answers 503 before 101', () => {
    assert.equal(statusOf('internal'), 503);
    assert.equal(statusOf('unauthorized'), 401);
  });

  test('a Failure stays what it is when it is normalised', () => {
    const failure = new Failure('busy', 'try later');
    assert.equal(Failure.from(failure), failure);
  });

  test('any other thrown value becomes internal, with the value as its cause', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true }), (thrown) => {
        const failure = Failure.from(thrown);
        assert.equal(failure.code, 'internal');
        assert.equal(failure.cause, thrown);
      }),
    );
    const error = new TypeError('no such thing');
    assert.equal(Failure.from(error).cause, error);
    assert.equal(Failure.from(error).message, 'no such thing');
  });

  test('names that every object inherits are no failures and no outcomes', () => {
    for (const name of ['constructor', 'toString', '__proto__', '']) {
      assert.equal(isFailureCode(name), false);
      assert.equal(isOutcome(name), false);
    }
    assert.ok(FAILURE_CODES.every(isFailureCode));
    assert.ok(OUTCOME_NAMES.every(isOutcome));
  });
});

suite('the outcome of a process that nobody ended', () => {
  test('every exit code is passed on', () => {
    for (let code = 0; code <= 255; code += 1) assert.deepEqual(outcomeOf({ code, signal: null }), { outcome: 'exited', code });
  });

  test('a signal becomes 128 and its number', () => {
    for (let signal = 1; signal <= 64; signal += 1) {
      assert.deepEqual(outcomeOf({ code: null, signal }), { outcome: 'signaled', code: 128 + signal });
    }
  });
});
