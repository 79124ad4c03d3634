/** Check Point's web request: POST /v1/smart-tasks/NAME (checkpoint.md, Web Request). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { soon } from '../helpers/wait.ts';
import { base64, payload } from './stub.ts';

const FEW = { id: 'few', secret: 'f'.repeat(43), scripts: ['naming', 'nested/**'] };
const Verdict = z.looseObject({ result: z.string(), message: z.string().optional() });

interface Answer {
  status: number;
  type: string | undefined;
  failure: string | string[] | undefined;
  body: string;
}

suite('a web request of Check Point', () => {
  let agent: TestAgent;

  before(async () => {
    agent = await startAgent({ keys: [FEW] });
    agent.script(
      'naming.sh',
      '#!/bin/bash\njq -c \'{result: (if .session."session-name" | startswith("CR-") then "success" else "failure" end)}\' <<<"$(base64 -d <<<"$1")"\n',
      { manifest: 'kind: before\n' },
    );
    agent.script(
      'echo.sh',
      '#!/bin/bash\nprintf "{\\"argument\\":\\"%s\\",\\"stdin\\":%d,\\"host\\":\\"%s\\"}" "$1" "$(wc -c)" "$MEDIATOR_HOST"\n',
    );
    agent.script('file.sh', '#!/bin/bash\nprintf "{\\"arguments\\":%d,\\"sum\\":\\"%s\\"}" "$#" "$(md5sum <"$MEDIATOR_PAYLOAD_FILE")"\n', {
      manifest: 'payload: file\n',
    });
    agent.script('exits.sh', '#!/bin/bash\necho said; echo why >&2; exit "$(base64 -d <<<"$1" | jq .code)"\n', {
      manifest: 'kind: after\n',
    });
    agent.script('nested/deep name.sh', '#!/bin/bash\n:\n');
  });
  after(() => agent.close());

  const post = async (
    name: string,
    body: string | Buffer,
    { headers = {}, method = 'POST' }: { headers?: Record<string, string>; method?: string } = {},
  ): Promise<Answer> => {
    const call = request(`${agent.urls.wss.replace('wss:', 'https:')}/v1/smart-tasks/${name}`, {
      method,
      ca: agent.certificate,
      agent: false,
      headers: { 'content-type': 'application/json', 'x-chkp-shared-secret': agent.key.secret, ...headers },
    });
    call.on('error', () => undefined); // the agent may answer before it has read everything
    call.end(body);
    const [response] = z.tuple([z.custom<IncomingMessage>()]).parse(await soon('an answer', once(call, 'response'), 30_000));
    return {
      status: response.statusCode ?? 0,
      type: response.headers['content-type'],
      failure: response.headers['mediator-failure'],
      body: await text(response),
    };
  };
  const verdict = ({ body }: Answer): z.output<typeof Verdict> => Verdict.parse(JSON.parse(body));
  const named = (name: string): string => JSON.stringify({ session: { 'session-name': name } });

  test('before: 200 and the verdict, yes or no', async () => {
    const yes = await post('naming', named('CR-1'));
    assert.deepEqual([yes.status, yes.type, verdict(yes)], [200, 'application/json', { result: 'success' }]);
    const no = await post('naming', payload('checkpoint/before-publish.json'));
    assert.deepEqual([no.status, verdict(no)], [200, { result: 'failure' }]);
  });

  test('before: a failure to run becomes the verdict that the manifest demands', async () => {
    for (const [failOpen, result] of [
      ['true', 'success'],
      ['false', 'failure'],
    ] as const) {
      agent.script('bad.sh', '#!/bin/bash\necho nonsense\n', { manifest: `kind: before\nfail-open: ${failOpen}\n` });
      const answer = await post('bad', '{}');
      assert.deepEqual([answer.status, verdict(answer).result], [200, result]);
    }
  });

  test('what is no verdict stays none: the fail-open of the SmartTask decides, not we', async () => {
    for (const printed of ['', 'DEBUG\n{"result":"failure"}', '["failure"]', 'x'.repeat(70_000)]) {
      agent.script('says.sh', `#!/bin/bash\ncat <<'END'\n${printed}\nEND\n`);
      const { status, body } = await post('says', '{}');
      assert.deepEqual([status, body], [200, '{}']);
    }
  });

  test('after: exactly 200 for exit code 0, 500 for any other', async () => {
    assert.deepEqual(
      [(await post('exits', '{"code":0}')).status, (await post('exits', '{"code":1}')).status, (await post('exits', '{"code":77}')).status],
      [200, 500, 500],
    );
  });

  test('a script that runs too long: 500, or 200 where fail-open says so', async () => {
    agent.script('slow.sh', '#!/bin/bash\nexec sleep 60\n', { manifest: 'kind: after\ntimeout: 100ms\ngrace: 10ms\nfail-open: false\n' });
    assert.equal((await post('slow', '{}')).status, 500);
    agent.script('slow.sh', '#!/bin/bash\nexec sleep 60\n', { manifest: 'kind: after\ntimeout: 100ms\ngrace: 10ms\n' });
    assert.equal((await post('slow', '{}')).status, 200);
  });

  test('the script gets the body as Base64 in its first argument, and nothing on stdin', async () => {
    const body = payload('checkpoint/after-publish.json');
    assert.deepEqual(verdictless(await post('echo', body)), { argument: base64(body), stdin: 0, host: 'checkpoint' });
  });

  test('a body over the limit of an argument is refused as exactly that, unless the manifest says payload: file', async () => {
    const body = JSON.stringify({ filler: 'x'.repeat(1_000_000) });
    const refused = await post('echo', body);
    assert.equal(refused.status, 500);
    assert.match(verdict(refused).message ?? '', /1000013 bytes, 1333352 as Base64; Linux passes at most 131071.*payload: file/);
    const sum = createHash('md5').update(body).digest('hex');
    assert.deepEqual(verdictless(await post('file', body)), { arguments: 0, sum: `${sum}  -` });
  });

  test('the largest body that fits into an argument arrives; one byte more does not', async () => {
    const body = (size: number): string => JSON.stringify({ filler: 'x'.repeat(size - 13) });
    assert.equal((await post('echo', body(98_301))).status, 200);
    assert.equal((await post('echo', body(98_304))).status, 500);
  });

  test('a body over 16 MiB is refused with 413', async () => {
    assert.equal((await post('file', Buffer.alloc(17 * 1024 * 1024, '{'))).status, 413);
  });

  const bodies: [what: string, body: string | Buffer][] = [
    ['nothing', ''],
    ['an array', '[{}]'],
    ['Base64', base64({})],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le').swap16()],
    ['a form', 'payload=%7B%7D'],
  ];
  for (const [what, body] of bodies) {
    test(`a body that is ${what} is refused with 400`, async () => {
      assert.equal((await post('echo', body)).status, 400);
    });
  }

  test('JSON that is deep, and bytes that are not UTF-8, are passed on as they are: the agent does not parse the payload', async () => {
    for (const body of [Buffer.from(`{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])])
      assert.deepEqual(verdictless(await post('echo', body)), { argument: base64(body), stdin: 0, host: 'checkpoint' });
  });

  test('a missing or wrong secret is 401, and what is wrong is said', async () => {
    for (const secret of ['', 'wrong', agent.key.secret.slice(1), `${agent.key.secret} x`]) {
      const { status, failure } = await post('naming', '{}', { headers: { 'x-chkp-shared-secret': secret } });
      assert.deepEqual([status, failure], [401, 'unauthorized'], JSON.stringify(secret));
    }
  });

  test('a key that may not call the script gets 403, one that may gets its answer', async () => {
    const headers = { 'x-chkp-shared-secret': FEW.secret };
    assert.equal((await post('echo', '{}', { headers })).status, 403);
    assert.equal((await post('naming', named('CR-1'), { headers })).status, 200);
    assert.equal((await post('nested/deep%20name', '{}', { headers })).status, 200);
  });

  test('a browser gets 403', async () => {
    assert.equal((await post('naming', '{}', { headers: { origin: 'https://example.com' } })).status, 403);
  });

  const names: [name: string, status: number][] = [
    ['nothing-here', 404],
    ['../agent', 404],
    ['%2e%2e/agent', 404],
    ['%', 404],
    ['%ff', 404],
    ['naming?x=1', 404],
  ];
  for (const [name, status] of names) {
    test(`the name "${name}" is ${status}`, async () => {
      assert.equal((await post(name, '{}')).status, status);
    });
  }

  test('other methods and paths are not served', async () => {
    assert.equal((await post('naming', '', { method: 'GET' })).status, 404);
    assert.equal((await post('../other', '{}')).status, 404);
  });

  test('the run is in the journal, with the key that called', async () => {
    await post('nested/deep%20name', '{}', { headers: { 'x-chkp-shared-secret': FEW.secret } });
    const [run] = await agent.runs('key=few');
    assert.equal(run?.script, 'nested/deep name.sh');
  });

  test('many at once are all answered', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => post('naming', named(index % 2 === 0 ? 'CR-1' : 'x'))));
    assert.deepEqual(
      answers.map((answer) => verdict(answer).result),
      answers.map((_, index) => (index % 2 === 0 ? 'success' : 'failure')),
    );
  });

  const verdictless = ({ status, body }: Answer): unknown => {
    assert.equal(status, 200, body);
    return JSON.parse(body);
  };
});
