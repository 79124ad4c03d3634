/** Where secrets are found: pure, and independent of the pieces in which output comes. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { maskBytes, maskText, patternsOf, Scanner, type Span } from '../../../agent/keeper/masking.ts';

/** Few letters, so that secrets begin within secrets and are cut by pieces. */
const secret = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 6, maxLength: 9 });
const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 120 });

suite('masking', () => {
  test('whatever the pieces, it is that of the whole; and what is safe early stays as it is', () => {
    fc.assert(
      fc.property(
        fc.array(secret, { minLength: 1, maxLength: 4 }),
        fc.array(fc.oneof(letters, secret), { maxLength: 12 }),
        (secrets, pieces) => {
          const patterns = secrets.map((text) => Buffer.from(text));
          const whole = Buffer.from(pieces.join(''));
          const expected = Buffer.from(whole);
          for (const pattern of patterns)
            for (let at = whole.indexOf(pattern); at >= 0; at = whole.indexOf(pattern, at + 1)) expected.fill('*', at, at + pattern.length);

          const scanner = new Scanner(patterns);
          const spans: Span[] = [];
          let safe = 0;
          let length = 0;
          for (const piece of pieces) {
            spans.push(...scanner.scan(Buffer.from(piece)));
            length += piece.length;
            assert.ok(scanner.safe >= safe, 'what was shown is held back');
            safe = scanner.safe;
            assert.ok(length - safe < Math.max(...patterns.map((pattern) => pattern.length)), 'more is held back than a secret is long');
            const shown = Buffer.from(whole.subarray(0, safe));
            maskBytes(shown, 0, spans);
            assert.equal(shown.toString(), expected.subarray(0, safe).toString());
          }
          const masked = Buffer.from(whole);
          maskBytes(masked, 0, spans);
          assert.equal(masked.toString(), expected.toString());
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('any part of a stream is masked as the whole is', () => {
    const patterns = patternsOf(['opensesame']);
    const whole = Buffer.from('say opensesame twice: opensesameopensesame.');
    const spans = new Scanner(patterns).scan(whole);
    const expected = Buffer.from(whole);
    maskBytes(expected, 0, spans);
    assert.equal(expected.toString(), `say ${'*'.repeat(10)} twice: ${'*'.repeat(20)}.`);
    for (let from = 0; from <= whole.length; from += 1)
      for (let to = from; to <= whole.length; to += 1) {
        const part = Buffer.from(whole.subarray(from, to));
        maskBytes(part, from, spans);
        assert.deepEqual(part, expected.subarray(from, to));
      }
  });

  test('a secret is found as it looks in JSON, XML, a URL and Base64, wherever it begins there', () => {
    const given = 'p<a>&"ss/w+örd';
    const patterns = patternsOf([given]);
    for (const text of [given, JSON.stringify({ given }), 'p&lt;a&gt;&amp;"ss/w+örd', encodeURIComponent(given)])
      assert.ok(maskText(text, patterns).includes('******'), text);
    for (const user of ['', 'a', 'ab', 'abc', 'admin:']) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const encoded = Buffer.from(`${user}${given}, and more`).toString(encoding);
        const masked = maskText(encoded, patterns);
        assert.ok(!Buffer.from(masked.replaceAll('*', ''), encoding).includes('ss/w'), masked);
        assert.ok(masked.split('*').length - 1 >= 18, masked);
      }
    }
  });

  test('each line of a secret of several is found', () => {
    const key = '-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQ==\n-----END KEY-----';
    assert.equal(maskText('  MIIBVgIBADANBgkq\r\n', patternsOf([key])), `  ${'*'.repeat(16)}\r\n`);
  });

  test('what is too short is not looked for', () => {
    assert.deepEqual(patternsOf(['', 'a', 'short']), []);
  });
});
