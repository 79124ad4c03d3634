import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import type { Key } from '../../../agent/config/keys.ts';
import { Gate } from '../../../agent/front/gate.ts';
import { NonceFile } from '../../../agent/front/nonce-file.ts';
import { Nonces } from '../../../agent/front/nonces.ts';
import { Penalties } from '../../../agent/wire/penalties.ts';
import { agentProof, formatAuthorization, stubProof, type Method } from '../../../protocol/auth.ts';
import { Failure, type FailureCode } from '../../../protocol/failures.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const KEY = { id: 'pod-1', secret: 'k'.repeat(43), scripts: ['**'] };
const NOW = 1_780_000_000_000;

function failsWith(code: FailureCode, act: () => unknown): void {
  assert.throws(act, (error: unknown) => error instanceof Failure && error.code === code);
}

suite('the gate', () => {
  let counter = 0;

  function opening(changes: {
    secret?: string;
    id?: string;
    time?: number;
    nonce?: string;
    method?: Method;
    signed?: Method;
    audience?: string;
  }) {
    const { secret = KEY.secret, id = KEY.id, time = NOW / 1000, method = 'GET', signed = method, audience = 'agent.example' } = changes;
    const nonce = changes.nonce ?? String((counter += 1)).padStart(32, '0');
    const claim = { audience, key: id, time: String(time), nonce };
    const headers = { 'mediator-audience': audience, authorization: formatAuthorization(claim, stubProof(secret, claim, signed)) };
    return { method, path: '/v1/run', headers, address: '192.0.2.1', proof: agentProof(secret, claim, signed) };
  }

  test('lets a right proof in, with the key and the agent’s proof', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    const right = opening({});
    assert.deepEqual(gate.admit(right, NOW), { key: KEY, previous: false, secret: KEY.secret, proof: right.proof });
  });
  test('takes a clock that is 300 s away, and refuses 301', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    for (const distance of [-300, 300]) gate.admit(opening({ time: NOW / 1000 + distance }), NOW);
    for (const distance of [-301, 301]) failsWith('clock-skew', () => gate.admit(opening({ time: NOW / 1000 + distance }), NOW));
  });
  test('refuses a proof that was made for the other method', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    failsWith('unauthorized', () => gate.admit(opening({ method: 'POST', signed: 'GET' }), NOW));
    gate.admit(opening({ method: 'POST' }), NOW);
  });
  test('refuses a replay for as long as its time would be accepted, also when it was ahead', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    const ahead = opening({ time: NOW / 1000 + 300 });
    gate.admit(ahead, NOW);
    for (const later of [0, 300_000, 599_000, 600_000]) failsWith('replayed', () => gate.admit(ahead, NOW + later));
    failsWith('clock-skew', () => gate.admit(ahead, NOW + 601_000));
  });
  test('does not remember the nonce of a wrong proof: a stranger cannot use up those of others', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    const nonce = 'b'.repeat(32);
    failsWith('unauthorized', () => gate.admit(opening({ nonce, secret: 'w'.repeat(43) }), NOW));
    gate.admit(opening({ nonce }), NOW);
  });
  test('counts wrong proofs and unknown keys against an address, and nothing else', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    const often = (code: FailureCode, changes: Parameters<typeof opening>[0]): void => {
      for (let count = 0; count < 40; count += 1) failsWith(code, () => gate.admit(opening(changes), NOW));
    };
    often('misdirected', { audience: 'other.example' });
    often('clock-skew', { time: 0 });
    for (let count = 0; count < 20; count += 1) failsWith('unauthorized', () => gate.admit(opening({ id: 'other' }), NOW));
    failsWith('slow-down', () => gate.admit(opening({}), NOW));
    gate.admit({ ...opening({}), address: '192.0.2.2' }, NOW);
  });
  test('does not shut out a key that was proven at an address before, whoever fails there since: the pods of a node share one', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    gate.admit(opening({}), NOW);
    const { address } = opening({});
    for (let count = 0; count < 20; count += 1) failsWith('unauthorized', () => gate.admitSecret('w'.repeat(43), address, NOW));
    for (const fields of [{ id: 'other' }, { secret: 'w'.repeat(43) }]) failsWith('slow-down', () => gate.admit(opening(fields), NOW));
    gate.admit(opening({}), NOW);
    gate.admitSecret(KEY.secret, address, NOW);
  });
  test('takes a secret that was replaced until its moment, and answers it with its own proof', () => {
    const [first, second] = ['o'.repeat(43), 'p'.repeat(43)];
    const previous = [
      { secret: first, expires: NOW + 1 },
      { secret: second, expires: NOW },
    ];
    const key = { ...KEY, previous };
    const gate = new Gate(['agent.example'], [key, { ...KEY, id: 'pod-2' }]);
    const right = opening({ secret: first });
    assert.deepEqual(gate.admit(right, NOW), { key, previous: true, secret: first, proof: right.proof });
    assert.equal(gate.admit(opening({}), NOW).previous, false);
    failsWith('unauthorized', () => gate.admit(opening({ secret: second }), NOW));
    failsWith('unauthorized', () => gate.admit(opening({ secret: first }), NOW + 1));
    failsWith('unauthorized', () => gate.admit(opening({ id: 'pod-2', secret: first }), NOW));
    assert.equal(gate.admitSecret(first, '192.0.2.1', NOW).previous, true);
    failsWith('unauthorized', () => gate.admitSecret(second, '192.0.2.1', NOW));
  });
  test('refuses a key from the moment at which it expires, and never slows down who has proven it', () => {
    const gate = new Gate(['agent.example'], [{ ...KEY, expires: NOW + 1 }]);
    gate.admit(opening({}), NOW);
    for (let count = 0; count < 40; count += 1) failsWith('unauthorized', () => gate.admit(opening({}), NOW + 1));
    failsWith('unauthorized', () => gate.admitSecret(KEY.secret, '192.0.2.1', NOW + 1));
  });
  test('refuses a key from outside of its networks', () => {
    for (const [networks, isFrom] of [
      [['192.0.2.0/24'], true],
      [['2001:db8::/32', '192.0.2.1'], true],
      [['192.0.2.2'], false],
      [[], false],
    ] as const) {
      const gate = new Gate(['agent.example'], [{ ...KEY, networks: [...networks] }]);
      if (isFrom) gate.admit(opening({}), NOW);
      else failsWith('unauthorized', () => gate.admit(opening({}), NOW));
    }
  });
  test('asks for other keys at every call', () => {
    let keys: Key[] | undefined;
    const gate = new Gate(['agent.example'], [KEY], undefined, () => keys);
    gate.admit(opening({}), NOW);
    keys = [{ ...KEY, id: 'pod-2' }];
    failsWith('unauthorized', () => gate.admit(opening({}), NOW));
    keys = undefined;
    gate.admit(opening({ id: 'pod-2' }), NOW);
  });
  test('knows new keys, and forgets old ones, when they are replaced', () => {
    const gate = new Gate(['agent.example'], [KEY]);
    gate.replace(['agent.example'], [{ ...KEY, id: 'pod-2' }]);
    failsWith('unauthorized', () => gate.admit(opening({}), NOW));
    gate.admit(opening({ id: 'pod-2' }), NOW);
  });
});

suite('nonces', () => {
  test('are forgotten once their time is over', () => {
    const nonces = new Nonces();
    nonces.use('a', 1000, 1000);
    failsWith('replayed', () => {
      nonces.use('a', 1000, 1300);
    });
    nonces.use('a', 1301, 1601);
  });
  test('are bounded in number', () => {
    const nonces = new Nonces();
    for (let count = 0; count < 500_000; count += 1) nonces.use(String(count), 1000, 1000);
    failsWith('busy', () => {
      nonces.use('one more', 1000, 1000);
    });
    nonces.use('later', 1400, 1400);
  });
});

suite('nonces that are written down', () => {
  const folder = temporaryFolder({ after });
  let count = 0;
  const SECOND = NOW / 1000;
  const never = (error: unknown): void => assert.fail(String(error));
  const open = (where: string, now: number): Nonces => new Nonces(new NonceFile(where, never), now);
  const nonce = (): string => String((count += 1)).padStart(32, '0');

  test('are refused by the next front for as long as their time would be accepted', () => {
    const where = path.join(folder, 'next');
    const used = Array.from({ length: 600 }, (_, index) => ({ nonce: nonce(), at: SECOND + index }));
    const first = open(where, SECOND);
    const ahead = nonce();
    first.use(ahead, SECOND + 300, SECOND);
    for (const { nonce, at } of used) first.use(nonce, at, at);
    const now = SECOND + 599;
    const second = open(where, now);
    failsWith('replayed', () => second.use(ahead, SECOND + 300, now));
    for (const { nonce, at } of used.slice(300)) failsWith('replayed', () => second.use(nonce, at, now));
    second.use(nonce(), now, now);
  });
  test('cost files that go away, and survive half a line', () => {
    const where = path.join(folder, 'files');
    const first = open(where, SECOND);
    for (let later = 0; later < 10_000; later += 100) first.use(nonce(), SECOND + later, SECOND + later);
    assert.ok(readdirSync(where).length <= 2, String(readdirSync(where)));
    const last = nonce();
    first.use(last, SECOND + 10_000, SECOND + 10_000);
    const [newest = ''] = readdirSync(where).sort().reverse();
    appendFileSync(path.join(where, newest), '17800');
    const second = open(where, SECOND + 10_001);
    failsWith('replayed', () => second.use(last, SECOND + 10_000, SECOND + 10_001));
  });
  test('that cannot be written down are refused all the same, by this front', () => {
    const where = path.join(folder, 'lost');
    const failures: unknown[] = [];
    const nonces = new Nonces(new NonceFile(where, (error) => failures.push(error)), SECOND);
    rmSync(where, { recursive: true });
    const one = nonce();
    nonces.use(one, SECOND, SECOND);
    assert.equal(failures.length, 1);
    failsWith('replayed', () => nonces.use(one, SECOND, SECOND));
  });
  test('need a folder: where there can be none, the front does not start', () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    failsWith('internal', () => new NonceFile(file, never));
  });
});

suite('penalties', () => {
  test('forgive 20 failures, and one more every three seconds', () => {
    const penalties = new Penalties();
    for (let count = 0; count < 20; count += 1) {
      penalties.check('a', NOW);
      penalties.add('a', NOW);
    }
    const check = (later: number) => () => {
      penalties.check('a', NOW + later);
    };
    failsWith('slow-down', check(0));
    failsWith('slow-down', check(0));
    check(3000)();
    penalties.add('a', NOW + 3000);
    failsWith('slow-down', check(3000));
    check(60_000)();
    penalties.check('b', NOW);
  });
  test('remember a bounded number of addresses', () => {
    const penalties = new Penalties();
    for (let count = 0; count < 20; count += 1) penalties.add('first', NOW);
    for (let count = 0; count < 10_000; count += 1) penalties.add(String(count), NOW);
    penalties.check('first', NOW);
  });
});
