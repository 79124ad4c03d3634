/** What the front refused while the runner was away is told when it is back. */
import assert from 'node:assert/strict';
import { mock, suite, test } from 'node:test';
import { z } from 'zod';
import { Refusals } from '../../../agent/front/refusals.ts';
import type { Upstream } from '../../../agent/front/upstream.ts';
import type { Connection } from '../../../agent/wire/connection.ts';
import { Failure } from '../../../protocol/failures.ts';
import { decodeStubMessage } from '../../../protocol/messages.ts';
import { until } from '../../helpers/wait.ts';

const CALLER = { key: 'pod', address: '192.0.2.1' };
const FAILURE = new Failure('not-allowed', 'x'.repeat(5000));

suite('refusals of the front', () => {
  function upstreamOf(sent: string[], { trusting = true, away = (): boolean => false } = {}): Upstream {
    const connection: Pick<Connection, 'send' | 'close'> = {
      send: (data) => sent.push(String(data)),
      close: () => sent.push('close'),
    };
    const dial = (): Promise<Connection> =>
      away() ? Promise.reject(new Failure('runner-away', 'away')) : Promise.resolve(z.custom<Connection>().parse(connection));
    return { trusting, dial, close: () => undefined, ready: () => undefined };
  }

  test('wait for a runner that is away, and no more than a hundred of them', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const sent: string[] = [];
      let attempts = 0;
      const refusals = new Refusals(upstreamOf(sent, { away: () => (attempts += 1) < 3 }));
      for (let count = 0; count < 150; count += 1) refusals.note(FAILURE, CALLER, { script: `s${count}`, host: 'generic', event: '' });
      for (const attempt of [1, 2]) {
        await until('it has tried', () => attempts === attempt);
        await new Promise(setImmediate); // it begins to wait
        mock.timers.tick(5000);
      }
      await until('they are told', () => sent.includes('close'));
      assert.equal(sent.length, 101);
      const first = decodeStubMessage(Buffer.from(sent[0] ?? ''));
      assert.ok(first.type === 'refused' && first.script === 's0' && first.code === 'not-allowed' && first.caller.key === 'pod');
      refusals.note(FAILURE, CALLER);
      await until('the next one is told at once', () => sent.length === 103);
    } finally {
      mock.timers.reset();
    }
  });
  test('fit into their message, however long the names of the caller are', async () => {
    const sent: string[] = [];
    new Refusals(upstreamOf(sent)).note(FAILURE, CALLER, { script: 'ä'.repeat(4000), host: 'generic', event: 'e'.repeat(4000) });
    await until('it is told', () => sent.length === 2);
    assert.equal(decodeStubMessage(Buffer.from(sent[0] ?? '')).type, 'refused');
  });
  test('are not told to an agent elsewhere, which believes nobody', async () => {
    const sent: string[] = [];
    new Refusals(upstreamOf(sent, { trusting: false })).note(FAILURE, CALLER);
    await new Promise(setImmediate);
    assert.deepEqual(sent, []);
  });
});
