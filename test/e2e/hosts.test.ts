import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertCalled, assertRefused, makeStub, type Called, type Stub } from './stubs.ts';

const PAYLOADS = path.resolve(import.meta.dirname, '../fixtures/payloads');
const payload = (name: string): Buffer => readFileSync(path.join(PAYLOADS, name));
const Verdict = z.object({ result: z.enum(['success', 'failure']), message: z.string().optional() });
/** A port that never answers: nobody may listen on it without being root, and nothing does. */
const NOWHERE = 'wss://127.0.0.1:1';

suite('SecureChange', () => {
  let agent: TestAgent;
  let stub: Stub;

  before(async () => {
    agent = await startAgent({ examples: true });
    stub = (await makeStub(agent, { options: ['--host', 'securechange'] })).copy('notify-on-close.sh');
    agent.script('echo-ticket.sh', '#!/bin/bash\nprintf "%s|" "$SCW_EVENT" "$#" "$@"\nexec cat\n');
    agent.script('fail-first.sh', '#!/bin/bash\necho x >>"$MEDIATOR_STATE/calls"\n(($(wc -l <"$MEDIATOR_STATE/calls") > 2))\n');
  });
  after(() => agent.close());

  test('closes a ticket: a Python script gets its XML', async () => {
    const { code, stdout, stderr } = await stub.call([], { stdin: payload('securechange/close.xml'), env: { SCW_EVENT: 'CLOSE' } });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    assert.match(stdout.toString(), /was closed/);
    const [run] = await agent.runs('limit=1');
    assert.ok(run);
    assert.deepEqual([run.script, run.host, run.event, run.outcome], ['notify-on-close.py', 'securechange', 'CLOSE', 'exited']);
    assert.equal(run.ticket, /<id>(\d+)<\/id>/.exec(payload('securechange/close.xml').toString())?.[1]);
    assert.deepEqual(
      (await agent.runs(`ticket=${run.ticket}`)).map(({ id }) => id),
      [run.id],
    );
  });

  test('its Test button reaches the script', async () => {
    const called = await stub.call(['test'], { stdin: payload('securechange/test-button.xml'), env: { SCW_EVENT: 'TEST' } });
    assertCalled(called, { stdout: 'test: notify-on-close was reached, nothing was sent\n' });
  });

  test('an event that the manifest does not name is success, and the script is not started', async () => {
    const called = await stub.call([], { stdin: payload('securechange/advance.xml'), env: { SCW_EVENT: 'ADVANCE' } });
    assertCalled(called, { stderr: 'mediator: not run: the manifest does not name this event\n' });
  });

  test('the XML and the one argument arrive as SecureChange sent them', async () => {
    const echo = stub.copy('echo-ticket.sh');
    for (const name of ['close', 'create', 'advance', 'test-button']) {
      const stdin = payload(`securechange/${name}.xml`);
      const called = await echo.call(['--queue "DMZ team" 64'], { stdin, env: { SCW_EVENT: 'CREATE' } });
      assertCalled(called, { stdout: Buffer.concat([Buffer.from('CREATE|1|--queue "DMZ team" 64|'), stdin]) });
    }
  });

  test('the same event again, after a success: the output comes again, and the script does not run again', async () => {
    agent.script('count.sh', '#!/bin/bash\necho x >>"$MEDIATOR_STATE/calls"\nwc -l <"$MEDIATOR_STATE/calls"\n');
    const counting = stub.copy('count.sh');
    const options = { stdin: payload('securechange/close.xml'), env: { SCW_EVENT: 'CLOSE' } };
    for (let call = 0; call < 3; call += 1) assertCalled(await counting.call(['1'], options), { stdout: '1\n' });
    assertCalled(await counting.call(['2'], options), { stdout: '2\n' });
    assertCalled(await counting.call(['1'], { ...options, env: { SCW_EVENT: 'CANCEL' } }), { stdout: '3\n' });
  });

  test('an event without an identity is never taken for another one: of another script, or of an earlier call', async () => {
    agent.script('one.sh', '#!/bin/bash\necho one\n');
    agent.script('count-tests.sh', '#!/bin/bash\necho x >>"$MEDIATOR_STATE/calls"\nwc -l <"$MEDIATOR_STATE/calls"\n');
    const [one, counting] = [stub.copy('one.sh'), stub.copy('count-tests.sh')];
    const options = { stdin: payload('securechange/test-button.xml'), env: { SCW_EVENT: 'TEST' } };
    assertCalled(await one.call(['test'], options), { stdout: 'one\n' });
    assertCalled(await counting.call(['test'], options), { stdout: '1\n' });
    assertCalled(await counting.call(['test'], options), { stdout: '2\n' });
  });

  test('a script that fails is called again by SecureChange, and runs again', async () => {
    const failing = stub.copy('fail-first.sh');
    const codes: (number | null)[] = [];
    for (let call = 0; call < 3; call += 1) {
      codes.push((await failing.call([], { stdin: payload('securechange/close.xml'), env: { SCW_EVENT: 'CLOSE' } })).code);
    }
    assert.deepEqual(codes, [1, 1, 0]);
  });
});

suite('Check Point', () => {
  let agent: TestAgent;
  let plain: Stub;
  let verdict: Stub;
  let stubs: { '--fail-open': Stub; '--fail-closed': Stub };

  before(async () => {
    agent = await startAgent({ examples: true });
    const stub = (name: string, ...options: string[]): Promise<Stub> =>
      makeStub(agent, { name, options: ['--host', 'checkpoint', ...options] });
    plain = await stub('mediator.sh');
    stubs = {
      '--fail-open': await stub('open/mediator.sh', '--fail-open'),
      '--fail-closed': await stub('closed/mediator.sh', '--fail-closed'),
    };
    verdict = stubs['--fail-closed'].copy('check-session-name.sh');
    agent.script(
      'payload.sh',
      '#!/bin/bash\ncmp <(base64 --decode <<<"$1") "$MEDIATOR_PAYLOAD_FILE" && cat "$MEDIATOR_PAYLOAD_FILE"; cat\n',
    );
    agent.script('no-shebang.sh', '[[ $1 == eyJ* ]] && echo "a\\tb"\n', { mode: 0o644 });
    agent.script('half.sh', '#!/bin/bash\necho half\nkill -KILL $$\n');
  });
  after(() => agent.close());

  const session = (name: string): string => {
    const before = z.looseObject({ session: z.looseObject({}) }).parse(JSON.parse(payload('checkpoint/before-publish.json').toString()));
    return Buffer.from(JSON.stringify({ ...before, session: { ...before.session, 'session-name': name } })).toString('base64');
  };
  const verdictOf = ({ code, stdout, stderr }: Called): z.output<typeof Verdict> => {
    assert.equal(code, 0, stderr);
    return Verdict.parse(JSON.parse(stdout.toString()));
  };

  test('asks before a publish, and is told no', async () => {
    const called = await verdict.call([payload('checkpoint/before-publish.json').toString('base64')]);
    assert.equal(called.stderr, '');
    assert.equal(verdictOf(called).result, 'failure');
  });

  test('asks before a publish, and is told yes', async () => {
    const called = await verdict.call([session('CR-1042')]);
    assert.equal(called.stderr, '');
    assert.equal(verdictOf(called).result, 'success');
  });

  test('leaves stdin open for ever, and is answered all the same', async () => {
    const call = verdict.start([session('CR-1042')], { stdin: null });
    assert.equal(verdictOf(await call.end()).result, 'success');
    call.endStdin();
  });

  test('has an endless stdin, and is answered all the same', async () => {
    const called = await verdict.shell('yes | bash "$stub" "$payload"; exit "${PIPESTATUS[1]}"', { env: { payload: session('CR-1042') } });
    assert.equal(verdictOf(called).result, 'success');
  });

  test('gives its payload as an argument and as a file, and no stdin', async () => {
    const called = await plain.call(['payload', session('CR-1')], { stdin: 'not for the script' });
    assertCalled(called, { stdout: Buffer.from(session('CR-1'), 'base64') });
  });

  test('runs a script without a shebang by bash, whose echo leaves escapes alone', async () => {
    assertCalled(await plain.call(['no-shebang', session('x')]), { stdout: 'a\\tb\n' });
  });

  for (const [option, result] of [
    ['--fail-open', 'success'],
    ['--fail-closed', 'failure'],
  ] as const) {
    suite(`reads the verdict ${result} from a stub made with ${option}, and an operator reads why`, () => {
      const cases: [what: string, script: string, env: Record<string, string>, cause: RegExp][] = [
        ['the agent is away', 'check-session-name', { MEDIATOR_URL: NOWHERE }, /127\.0\.0\.1:1\b/],
        ['the settings are wrong', 'check-session-name', { MEDIATOR_URL: 'http://x' }, /MEDIATOR_URL/],
        ['the key is unknown', 'check-session-name', { MEDIATOR_KEY: `nobody:${'x'.repeat(32)}` }, /key/],
        ['there is no such script', 'a "quoted" \\ name\twith\ncontrols', {}, /quoted/],
      ];
      for (const [what, script, env, cause] of cases) {
        test(`when ${what}`, async () => {
          const called = await stubs[option].call([script, session('x')], { env });
          assert.equal(verdictOf(called).result, result);
          assert.match(called.stderr, /^mediator: [^\n]+\n$/);
          assert.match(called.stderr, cause);
        });
      }
    });
  }

  test('reads nothing from a stub that was made with neither, and gets an exit code', async () => {
    assertRefused(await plain.call(['check-session-name', session('x')], { env: { MEDIATOR_URL: NOWHERE } }), 69);
  });

  test('is not given another answer when a script began its own', async () => {
    const { code, stdout } = await stubs['--fail-open'].call(['half', session('x')]);
    assert.equal(stdout.toString(), 'half\n');
    assert.equal(code, 137);
  });
});
