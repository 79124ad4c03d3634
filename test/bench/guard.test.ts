import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { betterOf, isWorse } from './guard.ts';

suite('the guard against regressions', () => {
  const recorded = { tls_vs_ssh: 0.1, rate_vs_webhook: 1, rss_500: 40, flat_scripts: 1 };

  test('finds a time that is several times longer, and no less', () => {
    assert.ok(isWorse({ name: 'tls_vs_ssh', value: 0.31 }, recorded));
    assert.ok(!isWorse({ name: 'tls_vs_ssh', value: 0.29 }, recorded));
  });

  test('finds a rate that is a fraction, and no more', () => {
    assert.ok(isWorse({ name: 'rate_vs_webhook', value: 0.39 }, recorded));
    assert.ok(!isWorse({ name: 'rate_vs_webhook', value: 0.41 }, recorded));
    assert.ok(!isWorse({ name: 'rate_vs_webhook', value: 9 }, recorded));
  });

  test('is stricter where two agents are compared', () => {
    assert.ok(isWorse({ name: 'flat_scripts', value: 1.8 }, recorded));
  });

  test('takes memory for worse only above its floor', () => {
    assert.ok(!isWorse({ name: 'rss_500', value: 63 }, { rss_500: 10 }));
    assert.ok(isWorse({ name: 'rss_500', value: 81 }, recorded));
  });

  test('keeps the better one of two measurements', () => {
    const [low, high] = [1, 2].map((value) => ({ name: 'rate_vs_webhook' as const, value }));
    assert.ok(low && high);
    assert.equal(betterOf(low, high), high);
    assert.equal(betterOf(high, low), high);
    const [fast, slow] = [1, 2].map((value) => ({ name: 'tls_vs_ssh' as const, value }));
    assert.ok(fast && slow);
    assert.equal(betterOf(fast, slow), fast);
    assert.equal(betterOf(slow, fast), fast);
  });
});
