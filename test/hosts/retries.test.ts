/** SecureChange tries a failing script up to five times, and its calls overlap: the same event never runs a script twice, unless it failed. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { until } from '../helpers/wait.ts';
import { assertAnswered, assertSame, secureChange, ticket, type HostCall, type HostStub } from './stub.ts';

/** Notes that it was started, waits until it may go on, and prints more than a pipe holds. */
const GATED = `#!/bin/bash
echo started >>"$MEDIATOR_STATE/ledger"
xml=$(cat)
until [[ -e $MEDIATOR_STATE/go ]]; do sleep 0.01; done
echo "$MEDIATOR_RUN"
head -c 300000 /dev/zero | tr '\\0' x
echo 'to stderr' >&2
exit "$(cat "$MEDIATOR_STATE/code")"
`;
const OTHER_KEY = { id: 'second', secret: 'x'.repeat(43), scripts: ['**'] };

/** A gated script of its own for each test. */
interface Gated {
  call: HostStub;
  starts: () => number;
  /** Changes the timeout in its manifest. */
  allow: (timeout: string) => void;
  /** Sets the exit code and lets it go on. */
  open: (code: number) => void;
}

suite('the same event again', () => {
  let agent: TestAgent;
  let serial = 0;

  before(async () => {
    agent = await startAgent({ keys: [OTHER_KEY] });
  });
  after(() => agent.close());

  const gated = async (manifest = ''): Promise<Gated> => {
    serial += 1;
    const name = `gated-${serial}`;
    agent.script(`${name}.sh`, GATED, manifest === '' ? {} : { manifest });
    const file = (of: string): string => path.join(agent.state, 'scripts', name, of);
    mkdirSync(file(''), { recursive: true, mode: 0o700 });
    return {
      call: await secureChange(agent, name),
      starts: () => (existsSync(file('ledger')) ? readFileSync(file('ledger'), 'utf8').split('\n').length - 1 : 0),
      allow: (timeout) => {
        agent.script(`${name}.sh`, GATED, { manifest: manifest.replace(/(?<=timeout: )\w+/, timeout) });
      },
      open: (code) => {
        writeFileSync(file('code'), String(code));
        writeFileSync(file('go'), '');
      },
    };
  };
  const close = (stdin: string, more: HostCall = {}): HostCall => ({ stdin, env: { SCW_EVENT: 'CLOSE' }, args: ['x'], ...more });
  /** Of the runs of a ticket, newest first. */
  const outcomes = async (id: number): Promise<(string | null)[]> => (await agent.runs(`ticket=${id}`)).map(({ outcome }) => outcome);
  /** How many calls joined the runs of a ticket. */
  const joined = (id: number): number => {
    const journal = new DatabaseSync(path.join(agent.state, 'journal.db'), { readOnly: true });
    try {
      const row = journal.prepare('SELECT count(*) AS count FROM attachments JOIN runs ON run = id WHERE ticket = ?').get(String(id));
      return Number(row?.count);
    } finally {
      journal.close();
    }
  };

  for (const code of [0, 7]) {
    test(`five identical calls at once start one script, and all five get its full output and its exit code ${code}`, async () => {
      const { call, starts, open } = await gated();
      const id = 5000 + code;
      const event = close(ticket({ id }));
      const calls = Array.from({ length: 5 }, () => call(event));
      await until('four calls have joined the first', () => joined(id) === 4);
      open(code);
      const runs = await agent.runs(`ticket=${id}`);
      assert.equal(runs.length, 1);
      for (const called of await Promise.all(calls))
        assertAnswered(called, { code, stdout: `${runs[0]?.id}\n${'x'.repeat(300_000)}`, stderr: 'to stderr\n' });
      assert.equal(starts(), 1);
    });
  }

  test('after a success, the result is replayed and nothing runs, also after a restart of the agent', async () => {
    const { call, starts, open } = await gated();
    open(0);
    const event = close(ticket());
    const first = await call(event);
    assert.equal(first.code, 0);
    assertSame(await call(event), first);
    assert.equal(await agent.stop(), 0);
    await agent.start();
    assertSame(await (await secureChange(agent, `gated-${serial}`))(event), first);
    assert.equal(starts(), 1);
  });

  test('after a failure, the script runs again, and what succeeds at last is replayed', async () => {
    const { call, starts, open } = await gated();
    const event = close(ticket());
    open(3);
    assert.equal((await call(event)).code, 3);
    assert.equal((await call(event)).code, 3);
    open(0);
    const good = await call(event);
    assert.equal(good.code, 0);
    assert.equal(starts(), 3);
    assertSame(await call(event), good);
    assert.equal(starts(), 3);
  });

  test('after a time-out, the script runs again', async () => {
    const { call, allow, open } = await gated('timeout: 200ms\ngrace: 10ms\n');
    const event = close(ticket({ id: 5100 }));
    assert.equal((await call(event)).code, 124);
    allow('60s');
    open(0);
    assert.equal((await call(event)).code, 0);
    assert.deepEqual(await outcomes(5100), ['exited', 'timed-out']);
  });

  test('with fail-open, a time-out is a success for the host, and a repetition still runs the script again', async () => {
    const { call, allow, open } = await gated('kind: trigger\ntimeout: 200ms\ngrace: 10ms\nfail-open: true\n');
    const event = close(ticket({ id: 5101 }));
    assert.equal((await call(event)).code, 0);
    allow('60s');
    open(0);
    assert.match((await call(event)).stdout.toString(), /x$/);
    assert.deepEqual(await outcomes(5101), ['exited', 'timed-out']);
  });

  for (const size of [4_000, 65_000, 66_000, 1_000_000, 12_000_000]) {
    test(`a ticket of ${size} bytes has its identity`, async () => {
      const { call, starts, open } = await gated();
      open(0);
      const event = close(ticket().replace('</ticket_info>', `${'<comment><text>x</text></comment>'.repeat(size / 33)}</ticket_info>`));
      assertSame(await call(event), await call(event));
      assert.equal(starts(), 1);
    });
  }

  const id = { id: 6000, updated: 1_704_707_300_000, stage: 253 };
  const others: [what: string, call: HostCall][] = [
    ['another updateDate', close(ticket({ ...id, updated: id.updated + 1 }))],
    ['another stage', close(ticket({ ...id, stage: 254 }))],
    ['another ticket', close(ticket({ ...id, id: 6001 }))],
    ['another argument', close(ticket(id), { args: ['y'] })],
    ['one more argument', close(ticket(id), { args: ['x', ''] })],
    ['another event', close(ticket(id), { env: { SCW_EVENT: 'CANCEL' } })],
    ['another key', close(ticket(id), { env: { SCW_EVENT: 'CLOSE', MEDIATOR_KEY: `${OTHER_KEY.id}:${OTHER_KEY.secret}` } })],
  ];
  test(`what is not the same event: ${others.map(([what]) => what).join(', ')}`, async () => {
    const { call, starts, open } = await gated();
    open(0);
    assert.equal((await call(close(ticket(id)))).code, 0);
    for (const [index, [what, other]] of others.entries()) {
      assert.equal((await call(other)).code, 0, what);
      assert.equal(starts(), index + 2, what);
    }
    assert.equal((await call(close(ticket({ ...id, name: 'only the name differs' })))).code, 0);
    assert.equal(starts(), others.length + 1);
  });

  const without: [what: string, call: HostCall][] = [
    ['the Test button', { stdin: '<ticket_info/>', env: { SCW_EVENT: 'TEST' } }],
    ['a ticket without updateDate', close('<ticket_info><id>7</id></ticket_info>')],
    ['a ticket without an id', close('<ticket_info><updateDate>7</updateDate></ticket_info>')],
    ['no event', close(ticket(), { env: {} })],
    ['XML that is broken', close('<ticket_info><id>7</id><updateDate>7</updateDate>')],
    ['a draft', close('<field_info><id>7</id><updateDate>7</updateDate></field_info>')],
  ];
  test(`what has no identity runs every time: ${without.map(([what]) => what).join(', ')}`, async () => {
    const { call, starts, open } = await gated();
    open(0);
    for (const [index, [what, event]] of without.entries()) {
      assert.equal((await call(event)).code, 0, what);
      assert.equal((await call(event)).code, 0, what);
      assert.equal(starts(), 2 * index + 2, what);
    }
  });

  for (const manifest of ['retries: run\n', 'kind: condition\nfail-open: true\n', 'kind: validation\n']) {
    test(`every call is a run of its own with ${manifest.trim().replace('\n', ', ')}`, async () => {
      const { call, starts, open } = await gated(manifest);
      open(0);
      const event = close(ticket());
      await Promise.all([call(event), call(event), call(event)]);
      assert.equal(starts(), 3);
    });
  }

  test('retries: attach makes other kinds join as well', async () => {
    const { call, starts, open } = await gated('kind: validation\nretries: attach\n');
    open(0);
    const event = close(ticket());
    assertSame(await call(event), await call(event));
    assert.equal(starts(), 1);
  });

  test('one of two callers gives up, and the run goes on for the other, although on-caller-loss is kill', async () => {
    const { call, starts, open } = await gated('on-caller-loss: kill\n');
    const giveUp = new AbortController();
    const event = close(ticket({ id: 6500 }));
    const first = call({ ...event, signal: giveUp.signal });
    await until('the script is started', () => starts() === 1);
    const second = call(event);
    await until('the second call has joined', () => joined(6500) === 1);
    giveUp.abort();
    assert.equal((await first).code, 143);
    open(0);
    assert.equal((await second).code, 0);
  });

  test('serialize: ticket lets the runs for a ticket go one after another, in their order', async () => {
    agent.script(
      'serial.sh',
      '#!/bin/bash\necho "+$1" >>"$MEDIATOR_STATE/order"\nuntil [[ -e $MEDIATOR_STATE/go ]]; do sleep 0.01; done\necho "-$1" >>"$MEDIATOR_STATE/order"\n',
      { manifest: 'serialize: ticket\n' },
    );
    const call = await secureChange(agent, 'serial');
    const order = path.join(agent.state, 'scripts/serial/order');
    const lines = (): string[] => (existsSync(order) ? readFileSync(order, 'utf8').split('\n').filter(Boolean) : []);
    const xml = ticket({ id: 6600 });
    const one = call(close(xml, { args: ['1'] }));
    await until('the first has begun', () => lines().length === 1);
    const two = call(close(xml, { args: ['2'] }));
    await until('the second waits', async () => (await agent.runs('ticket=6600')).length === 2);
    const other = call(close(ticket({ id: 6601 }), { args: ['other'] }));
    await until('another ticket does not wait', () => lines().includes('+other'));
    writeFileSync(path.join(path.dirname(order), 'go'), '');
    await Promise.all([one, two, other]);
    assert.deepEqual(
      lines().filter((line) => !line.endsWith('other')),
      ['+1', '-1', '+2', '-2'],
    );
  });
});
