/** Who may use the page's API, as an attacker tries it; and how it is with a long history. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { encodeTime } from 'ulid';
import { z } from 'zod';
import { prepareAgent, startAgent, type TestAgent } from '../../helpers/agent.ts';
import { invoke, newToken, refusalOf } from '../../helpers/stub.ts';

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

async function ask(agent: TestAgent, method: string, target: string, headers: Record<string, string> = {}, body = ''): Promise<Answer> {
  const call = request(`${agent.urls.http}${target}`, { method, headers, agent: false });
  call.end(body);
  return new Promise((resolve, reject) => {
    call.on('error', reject).on('response', (response) => {
      text(response).then((received) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: received });
      }, reject);
    });
  });
}

const tokenOf = (agent: TestAgent): string => readFileSync(path.join(agent.dir, 'admin-token'), 'utf8').trim();
const Csrf = z.object({ csrf: z.string() });
const Page = z.object({ runs: z.array(z.object({ id: z.string() })) });
const JSON_TYPE = { 'content-type': 'application/json' };

suite('the page', () => {
  let agent: TestAgent;
  let session: { cookie: string; 'x-mediator-csrf': string };

  before(async () => {
    agent = await startAgent();
    agent.script('hello.sh', '#!/bin/bash\necho hello\n');
    const { status, headers, body } = await ask(agent, 'POST', '/api/session', JSON_TYPE, JSON.stringify({ token: tokenOf(agent) }));
    assert.equal(status, 200, body);
    const [cookie = ''] = headers['set-cookie'] ?? [];
    assert.match(cookie, /; HttpOnly; SameSite=Strict; Path=\/api; /);
    session = { cookie: cookie.split(';')[0] ?? '', 'x-mediator-csrf': Csrf.parse(JSON.parse(body)).csrf };
    await invoke(agent, { script: 'hello' });
  });
  after(() => agent.close());

  test('has a policy that lets nothing in from elsewhere', async () => {
    for (const target of ['/', '/app.js', '/metrics', '/api/runs', '/nothing']) {
      const { headers } = await ask(agent, 'GET', target);
      assert.match(
        String(headers['content-security-policy']),
        /^default-src 'none'; script-src 'self'[^;]*; style-src 'self';.*frame-ancestors 'none'/,
        target,
      );
      assert.ok(!String(headers['content-security-policy']).includes('unsafe'));
      assert.equal(headers['x-content-type-options'], 'nosniff', target);
    }
    const { body } = await ask(agent, 'GET', '/');
    assert.ok(!/https?:\/\//.test(body), 'the page names another site');
  });
  test('serves no file but its own', async () => {
    for (const target of ['/../agent.yaml', '/..%2fagent.yaml', '/lib/../../package.json', '/index.html%00', '/__proto__'])
      assert.equal((await ask(agent, 'GET', target)).status, 404, target);
  });
  test('answers a session, and none of its halves', async () => {
    assert.equal((await ask(agent, 'GET', '/api/runs', session)).status, 200);
    assert.equal((await ask(agent, 'GET', '/api/runs')).status, 401);
    assert.equal((await ask(agent, 'GET', '/api/runs', { cookie: session.cookie })).status, 401);
    assert.equal((await ask(agent, 'GET', '/api/runs', { 'x-mediator-csrf': session['x-mediator-csrf'] })).status, 401);
  });
  test('answers the token in a header, for programs', async () => {
    assert.equal((await ask(agent, 'GET', '/api/keys', { authorization: `Bearer ${tokenOf(agent)}` })).status, 200);
    assert.equal((await ask(agent, 'GET', '/api/keys', { authorization: 'Bearer wrong' })).status, 401);
  });
  test('tells keys without their secrets', async () => {
    const { body } = await ask(agent, 'GET', '/api/keys', session);
    assert.ok(body.includes(agent.key.id) && !body.includes(agent.key.secret));
    await agent.command(['keys', 'rotate', agent.key.id]);
    await refusalOf(agent, { key: { id: agent.key.id, secret: 'x'.repeat(43) } }); // at a call the front asks for changes
    const rotated = await ask(agent, 'GET', '/api/keys', session);
    assert.ok(rotated.body.includes('"previous"') && !rotated.body.includes(agent.key.secret), 'it is replaced, and works for a while');
  });
  test('does nothing for a page of another site, although the session is right', async () => {
    const [run] = await agent.runs();
    const rerun = `/api/runs/${run?.id ?? ''}/rerun`;
    const count = (await agent.runs()).length;
    assert.equal((await ask(agent, 'POST', rerun, { ...session, origin: 'https://evil.example' })).status, 403);
    assert.equal((await ask(agent, 'POST', rerun, { ...session, origin: 'null' })).status, 403);
    assert.equal((await ask(agent, 'POST', rerun, { ...session, 'sec-fetch-site': 'same-site' })).status, 403);
    assert.equal((await ask(agent, 'POST', rerun, { ...session, host: 'evil.example' })).status, 421);
    assert.equal(
      (await ask(agent, 'GET', '/api/runs', { ...session, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' })).status,
      403,
    );
    assert.equal((await agent.runs()).length, count);
    assert.equal((await ask(agent, 'POST', rerun, { ...session, origin: agent.urls.http })).status, 200);
  });
  test('passes on nothing else of the API of the runner', async () => {
    for (const [method, target] of [
      ['GET', '/api/run'],
      ['POST', '/api/scripts/hello.sh'],
      ['POST', '/api/runs/../../metrics'],
      ['DELETE', '/api/runs'],
    ] as const)
      assert.equal((await ask(agent, method, target, session)).status, 404, target);
  });
  test('slows down who guesses, and opens only by the token', async () => {
    const guess = (token: string): Promise<Answer> => ask(agent, 'POST', '/api/session', JSON_TYPE, JSON.stringify({ token }));
    const answers: number[] = [];
    for (let index = 0; index < 25; index += 1) answers.push((await guess(`guess-${index}`)).status);
    assert.equal(answers[0], 401);
    assert.equal(answers.at(-1), 429);
    assert.equal((await ask(agent, 'POST', '/api/session', { 'content-type': 'text/plain' }, '{}')).status, 400);
  });
});

suite('the admin listener', () => {
  test('keeps nobody from calling when its port is taken', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const address = squatter.address();
    assert.ok(address !== null && typeof address !== 'string');
    const agent = await startAgent({ settings: { admin: { listen: `127.0.0.1:${address.port}` } } });
    try {
      agent.script('hello.sh', '#!/bin/bash\necho hello\n');
      assert.equal((await invoke(agent, { script: 'hello' })).terminal.code, 0);
      assert.equal(agent.urls.http, '');
    } finally {
      squatter.close();
      await agent.close();
    }
  });
  test('refuses a token that others may read', async () => {
    const agent = await prepareAgent();
    try {
      chmodSync(path.join(agent.dir, 'admin-token'), 0o644);
      await assert.rejects(agent.start(), /chmod 600/);
      await agent.ended();
    } finally {
      agent.remove();
    }
  });
});

suite('a history of 100,000 runs', () => {
  const RUNS = 100_000;
  let agent: TestAgent;
  before(async () => {
    agent = await prepareAgent();
    await agent.start();
    agent.script('hello.sh', '#!/bin/bash\necho hello\n');
    await invoke(agent, { script: 'hello' });
    await agent.stop();
    fill(path.join(agent.state, 'journal.db'));
    await agent.start();
  });
  after(() => agent.close());

  test('is shown page by page without a gap, and counted in the plot', { timeout: 60_000 }, async () => {
    const authorization = `Bearer ${tokenOf(agent)}`;
    const seen = new Set<string>();
    let before = '';
    for (let page = 0; page < 5; page += 1) {
      const { body } = await ask(agent, 'GET', `/api/runs?limit=50${before === '' ? '' : `&before=${before}`}`, { authorization });
      const { runs } = Page.parse(JSON.parse(body));
      assert.equal(runs.length, 50);
      for (const { id } of runs) seen.add(id);
      before = runs.at(-1)?.id ?? '';
    }
    assert.equal(seen.size, 250);
    const { body } = await ask(agent, 'GET', '/api/runs?ticket=t77777', { authorization });
    assert.equal(Page.parse(JSON.parse(body)).runs.length, 1);
    const history = await ask(agent, 'GET', '/api/history?hours=24', { authorization });
    const { buckets } = z.object({ buckets: z.array(z.object({ runs: z.number(), failed: z.number() })) }).parse(JSON.parse(history.body));
    assert.equal(
      buckets.reduce((sum, { runs }) => sum + runs, 0),
      RUNS,
    );
    assert.equal(
      buckets.reduce((sum, { failed }) => sum + failed, 0),
      RUNS / 100,
    );
  });

  /** Copies of the first run, spread over 20 hours; one of 100 has failed. */
  function fill(file: string): void {
    const db = new DatabaseSync(file);
    const first = db.prepare('SELECT * FROM runs LIMIT 1').get();
    assert.ok(first);
    db.exec('BEGIN; DELETE FROM runs');
    const insert = db.prepare(`INSERT INTO runs (${Object.keys(first).join(', ')}) VALUES (${Object.keys(first).fill('?').join(', ')})`);
    for (let index = 0; index < RUNS; index += 1) {
      const accepted = Math.round(Date.now() - 20 * 3_600_000 * (1 - index / RUNS));
      const id = encodeTime(accepted, 10) + String(index).padStart(16, '0');
      const own = { id, token: newToken(), ticket: `t${index}`, accepted, code: index % 100 === 0 ? 1 : 0, seq: null, link: null };
      insert.run(...Object.values({ ...first, ...own }));
    }
    db.exec('COMMIT');
    db.close();
  }
});
