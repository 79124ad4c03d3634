/** The contract of Check Point's *before* triggers, edge by edge (checkpoint.md, Run Script), and of all others. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertAnswered, base64, checkPoint, payload } from './stub.ts';

const SUCCESS = '{"result":"success"}\n';
const Refusal = z.strictObject({ result: z.literal('failure'), message: z.string() });

/** By what the script does: its shell code, and what is said about it. */
const FAILURES: Record<string, [source: string, problem: RegExp]> = {
  'an exit code other than 0': ['echo \'{"result":"success"}\'; exit 1', /exited with 1/],
  'an exit code other than 0 after a failure verdict': ['echo \'{"result":"failure"}\'; exit 2', /exited with 2/],
  'the end by a signal': ['kill -9 $$', /signal 9/],
  'a time-out': ['exec sleep 60', /ran longer than its 0.2 s/],
  'nothing on stdout': ['exit 0', /printed nothing/],
  'white space on stdout': ['printf " \\n\\t"', /printed nothing/],
  text: ['echo OK', /not a verdict/],
  'JSON that is no object': ['echo \'["failure"]\'', /not a verdict/],
  'a verdict without a result': ['echo \'{"message":"no"}\'', /not a verdict/],
  'a result that is no text': ['echo \'{"result":true}\'', /not a verdict/],
  'two verdicts': ['echo \'{"result":"success"}{"result":"failure"}\'', /not a verdict/],
  'a line before the verdict': ['echo DEBUG; echo \'{"result":"failure"}\'', /not a verdict/],
  'a line after the verdict': ['echo \'{"result":"failure"}\'; echo done', /not a verdict/],
  'single quotes': ["echo \"{'result': 'failure'}\"", /not a verdict/],
  'JSON that does not end': ['echo \'{"result":"failure"\'', /not a verdict/],
  'more than any host reads': ['head -c 70000 /dev/zero | tr "\\0" x', /longer than 65536 bytes/],
};

suite('a before trigger', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.close());

  const verdicts: [what: string, printed: string][] = [
    ['success', '{"result":"success"}\n'],
    ['failure with a message', '{"result":"failure","message":"Name the session CR-NUMBER: \\"Zürich\\""}'],
    ['failure without a message', '{"result":"failure"}\n'],
    ['a verdict over several lines, with further fields', '\n{\n  "result": "failure",\n  "rule": 7\n}\n\n'],
  ];
  for (const [what, printed] of verdicts) {
    test(`${what} is passed on as it was printed`, async () => {
      agent.script('verdict.sh', `#!/bin/bash\ncat <<'END'\n${printed}\nEND\n`, { manifest: 'kind: before\n' });
      const call = await checkPoint(agent, 'verdict');
      assertAnswered(await call({ args: [base64({})] }), { stdout: `${printed}\n` });
    });
  }

  test('an unknown result is passed on, so that the operation goes on, with a warning', async () => {
    agent.script('unknown.sh', '#!/bin/bash\necho \'{"result":"maybe"}\'\n', { manifest: 'kind: before\nfail-open: false\n' });
    const call = await checkPoint(agent, 'unknown');
    assertAnswered(await call({ args: [base64({})] }), { stdout: '{"result":"maybe"}\n', stderr: /^mediator: .*"maybe" is neither/ });
  });

  test('stderr is passed on and never parsed', async () => {
    agent.script('stderr.sh', '#!/bin/bash\necho \'{"result":"failure"}\' >&2\necho \'{"result":"success"}\'\n', {
      manifest: 'kind: before\n',
    });
    const call = await checkPoint(agent, 'stderr');
    assertAnswered(await call({ args: [base64({})] }), { stdout: SUCCESS, stderr: '{"result":"failure"}\n' });
  });

  for (const [what, [source, problem]] of Object.entries(FAILURES)) {
    test(`${what} is a failure to run, and fail-open decides`, async () => {
      for (const failOpen of ['', 'fail-open: false\n']) {
        agent.script('fails.sh', `#!/bin/bash\n${source}\n`, {
          manifest: `kind: before\ntimeout: ${what === 'a time-out' ? '200ms' : '60s'}\n${failOpen}`,
        });
        const call = await checkPoint(agent, 'fails');
        const { code, stdout, stderr } = await call({ args: [base64({})] });
        assert.equal(code, 0, stderr);
        assert.match(stderr, problem);
        if (failOpen.includes('false')) assert.match(Refusal.parse(JSON.parse(stdout.toString())).message, problem);
        else assert.equal(stdout.toString(), SUCCESS);
      }
    });
  }

  const noisy: [what: string, printed: string, verdict: string][] = [
    ['a line before it', 'DEBUG connected\n{"result":"failure","message":"no"}\n', '{"result":"failure","message":"no"}\n'],
    ['lines after it', '{"result":"success"}\ndone\nbye\n', SUCCESS],
    ['an earlier object', '{"result":"failure"}\n{"result":"success"}\n', SUCCESS],
    ['several lines of it', 'x\n{\n "result": "failure"\n}\ny\n', '{"result":"failure"}\n'],
    ['a brace in the noise', '{"result":"success"}\nclosing }\n', SUCCESS],
  ];
  for (const [what, printed, verdict] of noisy) {
    test(`reply: last-json takes the verdict out of ${what}`, async () => {
      agent.script('noisy.sh', `#!/bin/bash\ncat <<'END'\n${printed}END\n`, { manifest: 'kind: before\nreply: last-json\n' });
      const call = await checkPoint(agent, 'noisy');
      assertAnswered(await call({ args: [base64({})] }), { stdout: verdict });
    });
  }

  test('what cannot start is a failure to run: without a fail-open in the stub an exit code, with one a verdict', async () => {
    agent.script('broken.sh', '#!/nowhere/python\n', { manifest: 'kind: before\n' });
    const reason = /^mediator: .*\/nowhere\/python.* does not exist/;
    assertAnswered(await (await checkPoint(agent, 'broken'))(), { code: 126, stderr: reason });
    assertAnswered(await (await checkPoint(agent, 'broken', '--fail-open'))(), { stdout: SUCCESS, stderr: reason });
    const closed = await (await checkPoint(agent, 'broken', '--fail-closed'))();
    assert.equal(closed.code, 0);
    assert.match(Refusal.parse(JSON.parse(closed.stdout.toString())).message, /does not exist/);
  });

  test('an agent that cannot be reached: the stub itself prints the verdict that is baked into it', async () => {
    const nowhere = { env: { MEDIATOR_URL: 'ws://127.0.0.1:1' } };
    const reason = /^mediator: cannot connect/;
    assertAnswered(await (await checkPoint(agent, 'verdict'))(nowhere), { code: 69, stderr: reason });
    assertAnswered(await (await checkPoint(agent, 'verdict', '--fail-open'))(nowhere), { stdout: SUCCESS, stderr: reason });
    const closed = await (await checkPoint(agent, 'verdict', '--fail-closed'))(nowhere);
    assert.equal(closed.code, 0);
    assert.match(closed.stderr, reason);
    assert.match(Refusal.parse(JSON.parse(closed.stdout.toString())).message, /cannot connect/);
  });
});

suite('every other trigger', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.close());

  test('the exit code is the answer, and stdout is passed on as it comes', async () => {
    for (const manifest of ['kind: after\n', 'host: checkpoint\n']) {
      agent.script('after.sh', '#!/bin/bash\necho "not JSON"\nexit "$(base64 -d <<<"$1" | tr -dc 0-9)"\n', { manifest });
      const call = await checkPoint(agent, 'after');
      for (const code of [0, 1, 42]) assertAnswered(await call({ args: [base64({ code })] }), { code, stdout: 'not JSON\n' });
    }
  });

  test('a time-out is 124, or a success where fail-open says so, which is the default of Check Point', async () => {
    agent.script('slow.sh', '#!/bin/bash\nexec sleep 60\n', { manifest: 'kind: after\ntimeout: 100ms\ngrace: 10ms\nfail-open: false\n' });
    agent.script('slow-open.sh', '#!/bin/bash\nexec sleep 60\n', { manifest: 'kind: after\ntimeout: 100ms\ngrace: 10ms\n' });
    assertAnswered(await (await checkPoint(agent, 'slow'))(), { code: 124, stderr: /^mediator: / });
    assertAnswered(await (await checkPoint(agent, 'slow-open'))(), { code: 0, stderr: /fail-open: true/ });
  });

  test('stdin is nothing, although it stays open for ever', async () => {
    agent.script('reads.sh', '#!/bin/bash\nwc -c | tr -d " "\n');
    assertAnswered(await (await checkPoint(agent, 'reads'))({ args: ['e30='] }), { stdout: '0\n' });
  });

  for (const name of ['before-publish', 'after-publish', 'after-install-policy', 'after-install-policy-failed']) {
    test(`the payload ${name} arrives as argument and as file, byte for byte`, async () => {
      agent.script('both.sh', '#!/bin/bash\nprintf "%s\\n" "$#" "$1"\ncat "$MEDIATOR_PAYLOAD_FILE"\n');
      const json = payload(`checkpoint/${name}.json`);
      assertAnswered(await (await checkPoint(agent, 'both'))({ args: [base64(json)] }), {
        stdout: `1\n${base64(json)}\n${json.toString()}`,
      });
    });
  }

  test('the largest payload that Linux passes in an argument arrives; one byte more is refused by Linux before any stub', async () => {
    agent.script('size.sh', '#!/bin/bash\necho "${#1} $(wc -c <"$MEDIATOR_PAYLOAD_FILE")"\n');
    const call = await checkPoint(agent, 'size');
    assertAnswered(await call({ args: [base64(Buffer.alloc(98_301, 'x'))] }), { stdout: '131068 98301\n' });
    await assert.rejects(call({ args: [base64(Buffer.alloc(98_302, 'x'))] }), /E2BIG/);
  });

  const odd: [what: string, argument: string, decoded: string | undefined][] = [
    [
      'Base64 in lines of 76 characters',
      Buffer.from('{"a":1}'.repeat(50))
        .toString('base64')
        .replace(/(.{76})/g, '$1\n'),
      '{"a":1}'.repeat(50),
    ],
    ['Base64 with Windows line ends', 'eyJhIjox\r\nfQ==\r\n', '{"a":1}'],
    ['Base64 without padding', 'eyJhIjoxfQ', '{"a":1}'],
    ['the alphabet for URLs', Buffer.from('{"a":"ÿÿ>>??"}').toString('base64url'), undefined],
    ['what is not Base64', 'not base64!', undefined],
    ['a length that no Base64 has', 'eyJhI', undefined],
    ['nothing', '', undefined],
    ['plain JSON', '{"a":1}', undefined],
    ['a JSON array', base64([1, 2]), '[1,2]'],
    ['JSON of 10,000 levels', base64(Buffer.from('['.repeat(10_000) + ']'.repeat(10_000))), '['.repeat(10_000) + ']'.repeat(10_000)],
    ['bytes that are not UTF-8', base64(Buffer.from([0xff, 0xfe, 0x7b])), Buffer.from([0xff, 0xfe, 0x7b]).toString()],
  ];
  for (const [what, argument, decoded] of odd) {
    test(`${what}: the argument arrives as it is, ${decoded === undefined ? 'and there is no file' : 'and the file is what it spells'}`, async () => {
      agent.script(
        'odd.sh',
        '#!/bin/bash\nprintf "%s|" "$1"\ncat "${MEDIATOR_PAYLOAD_FILE:-/dev/null}"\nprintf "|%s" "${MEDIATOR_PAYLOAD_FILE+file}"\n',
      );
      const { code, stdout } = await (await checkPoint(agent, 'odd'))({ args: [argument] });
      assert.equal(code, 0);
      assert.ok(
        stdout.toString() === `${argument}|${decoded ?? ''}|${decoded === undefined ? '' : 'file'}`,
        stdout.toString().slice(0, 500),
      );
    });
  }

  test('a stub without an argument, as an operator tries it, runs the script without one', async () => {
    agent.script('none.sh', '#!/bin/bash\necho $#\n');
    assertAnswered(await (await checkPoint(agent, 'none'))(), { stdout: '0\n' });
  });

  test('the payload of a run stays in its spool', async () => {
    agent.script('spooled.sh', '#!/bin/bash\necho "$MEDIATOR_RUN"\n');
    const { stdout } = await (await checkPoint(agent, 'spooled'))({ args: [base64({ a: 1 })] });
    assert.equal(readFileSync(agent.spoolFile(stdout.toString().trim(), 'payload.json'), 'utf8'), '{"a":1}');
  });
});
