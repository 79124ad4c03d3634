import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  agentProof,
  canonicalString,
  formatAuthorization,
  KEY_ID,
  parseAuthorization,
  proofsMatch,
  SECRET,
  stubProof,
} from '../../protocol/auth.ts';
import { claim, secret } from './arbitraries.ts';
import { authVectors } from './vectors.ts';

suite('golden vectors of the proofs', () => {
  for (const vector of authVectors) {
    test(`the key ${vector.key} at ${vector.audience} proves itself as written down`, () => {
      assert.match(vector.secret, new RegExp(`^${SECRET}$`));
      assert.match(vector.key, new RegExp(`^${KEY_ID}$`));
      assert.equal(canonicalString(vector), vector.canonical);
      assert.equal(stubProof(vector.secret, vector), vector.stubProof);
      assert.equal(agentProof(vector.secret, vector), vector.agentProof);
      assert.equal(formatAuthorization(vector, vector.stubProof), vector.authorization);
    });
  }
});

suite('proofs', () => {
  test('every field of the claim changes both proofs', () => {
    fc.assert(
      fc.property(secret, claim, claim, (key, a, b) => {
        for (const field of ['audience', 'key', 'time', 'nonce'] as const) {
          for (const proof of [stubProof, agentProof]) {
            const same = proof(key, { ...a, [field]: b[field] }) === proof(key, a);
            assert.equal(same, a[field] === b[field], field);
          }
        }
      }),
    );
  });

  test('another secret gives another proof, on both sides', () => {
    fc.assert(
      fc.property(secret, secret, claim, (mine, theirs, said) => {
        fc.pre(mine !== theirs);
        assert.notEqual(stubProof(mine, said), stubProof(theirs, said));
        assert.notEqual(agentProof(mine, said), agentProof(theirs, said));
      }),
    );
  });

  test('what the stub proves never stands in for what the agent proves', () => {
    fc.assert(fc.property(secret, claim, (key, said) => assert.notEqual(stubProof(key, said), agentProof(key, said))));
  });

  test('proofs match if they are the same text, whatever else is compared', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => assert.equal(proofsMatch(a, b), a === b)));
    fc.assert(fc.property(fc.string(), (a) => assert.ok(proofsMatch(a, a))));
  });

  test('a longer text that begins with the proof does not match it', () => {
    fc.assert(fc.property(fc.string(), fc.string({ minLength: 1 }), (a, more) => assert.ok(!proofsMatch(a, a + more))));
  });
});

suite('the Authorization header', () => {
  test('what was formatted is parsed back', () => {
    fc.assert(
      fc.property(secret, claim, (key, said) => {
        const proof = stubProof(key, said);
        assert.deepEqual(parseAuthorization(formatAuthorization(said, proof), said.audience), { claim: said, proof });
      }),
    );
  });

  test('a header that is parsed says, when it is formatted again, the same', () => {
    const header = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('Mediator', ' key="k"', ', ', 'time="1"', '"', '\n') }));
    fc.assert(
      fc.property(fc.oneof(header, almostRight()), (value) => {
        const parsed = parseAuthorization(value, 'agent.example');
        assert.ok(parsed === undefined || formatAuthorization(parsed.claim, parsed.proof) === value);
      }),
    );
  });

  const right = authVectors[0]?.authorization ?? '';
  const wrong: [string, string | undefined][] = [
    ['no header', undefined],
    ['an empty header', ''],
    ['another scheme', right.replace('Mediator', 'Bearer')],
    ['the scheme in lower case', right.replace('Mediator', 'mediator')],
    ['an empty key', right.replace('pod-1', '')],
    ['a key of 65 characters', right.replace('pod-1', 'k'.repeat(65))],
    ['a key with a quotation mark', right.replace('pod-1', 'pod"1')],
    ['a key with a newline', right.replace('pod-1', 'pod\n1')],
    ['a time with a leading zero', right.replace('time="1', 'time="01')],
    ['a time with a sign', right.replace('time="1', 'time="-1')],
    ['a time with a fraction', right.replace('1780000000', '1780000000.5')],
    ['a time of 17 digits', right.replace('1780000000', '1'.repeat(17))],
    ['a nonce of 31 digits', right.replace('nonce="0', 'nonce="')],
    ['a nonce in upper case', right.replace('0a0b', '0A0B')],
    ['a proof of 33 digits', right.replace('proof="', 'proof="0')],
    ['a proof in upper case', right.replace('d9b92', 'D9B92')],
    ['parameters in another order', right.replace(/(key=.*?), (time=.*?),/, '$2, $1,')],
    ['a parameter twice', `${right}, key="pod-2"`],
    ['a space more', `${right} `],
    ['a newline at its end', `${right}\n`],
  ];
  for (const [what, header] of wrong) {
    test(`${what} is not parsed`, () => {
      assert.notEqual(header, right);
      assert.equal(parseAuthorization(header, 'agent.example'), undefined);
    });
  }

  for (const audience of [undefined, '', 'Agent.example', 'a b', '[::1]', 'agent.example\n', 'a/b', 'a'.repeat(256)]) {
    test(`the audience ${String(audience).trim().slice(0, 20)} is not parsed`, () => {
      assert.notEqual(parseAuthorization(right, 'agent.example'), undefined);
      assert.equal(parseAuthorization(right, audience), undefined);
    });
  }
});

/** A right header with one character changed. */
function almostRight(): fc.Arbitrary<string> {
  return fc.tuple(claim, secret, fc.nat(), fc.string({ maxLength: 2 })).map(([said, key, at, by]) => {
    const header = formatAuthorization(said, stubProof(key, said));
    const index = at % header.length;
    return header.slice(0, index) + by + header.slice(index + 1);
  });
}
