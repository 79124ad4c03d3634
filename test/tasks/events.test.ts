import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { ROOT, type Result } from '../helpers/command.ts';
import { newFolder } from '../helpers/folder.ts';
import { dial, startMessage } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';
import { startMailServer, startProxy, startSilentServer, startWebServer, type MailServer, type Proxy, type WebServer } from './peers.ts';

const PAYLOADS = path.join(ROOT, 'test/fixtures/payloads');
const SESSION = readFileSync(path.join(PAYLOADS, 'checkpoint/before-publish.json'), 'utf8');
const CLOSED = readFileSync(path.join(PAYLOADS, 'securechange/close.xml'), 'utf8');
let updates = 1_704_879_000_000;
/** A ticket that was never seen before: another update of it is another event. */
const newTicket = (): string => CLOSED.replace(/<updateDate>\d+/, `<updateDate>${(updates += 1)}`);

suite('an event', { timeout: 120_000 }, () => {
  const folder = newFolder();
  let agent: TestAgent;
  let web: WebServer;
  let proxy: Proxy;
  let mail: MailServer | undefined;

  before(async () => {
    web = await startWebServer(folder);
    proxy = await startProxy();
    mail = await startMailServer();
    const server = { host: '127.0.0.1', port: mail?.port ?? 1, 'require-tls': false };
    agent = await startAgent({
      settings: { smtp: { office: server, strict: { host: server.host, port: server.port }, down: { ...server, port: 1 } } },
    });
  });
  after(async () => {
    await agent.close();
    await web.close();
    await proxy.close();
    await mail?.close();
    rmSync(folder, { recursive: true });
  });
  afterEach(() => {
    for (const { name } of [...files]) rmSync(path.join(agent.scripts, name), { force: true });
    files.length = 0;
    web.received.length = 0;
    web.answer = Object.assign(web.answer, { status: 200, body: '' });
  });

  const files: { name: string }[] = [];
  const task = (name: string, fields: Record<string, unknown>): void => {
    const file = `${name}.task.json`;
    files.push({ name: file });
    writeFileSync(path.join(agent.scripts, file), JSON.stringify({ name, enabled: true, ...fields }), { mode: 0o644 });
  };
  const script = (name: string, body: string): { 'run-script': Record<string, unknown> } => {
    agent.script(name, `#!/bin/bash\n${body}\n`);
    files.push({ name });
    return { 'run-script': { 'repository-script': name, 'time-out': 20 } };
  };
  /** Calls as a stub without a script does. */
  const raise = async (event: string, input: string): Promise<Result> => {
    const checkpoint = !/^[A-Z_]+$/.test(event);
    const call = await dial(agent);
    const start = startMessage({
      script: 'x',
      host: checkpoint ? 'checkpoint' : 'securechange',
      env: checkpoint ? {} : { SCW_EVENT: event },
    });
    delete start.script;
    if (checkpoint) Object.assign(start, { event, args: [Buffer.from(input).toString('base64')] });
    call.send(start);
    call.sendStdin(Buffer.from(checkpoint ? '' : input));
    const { code } = await call.terminal();
    await call.ack();
    return { code, stdout: call.stdout.toString(), stderr: call.stderr.toString() };
  };

  test('runs every enabled task of its trigger, in the order of the files, and no other', async () => {
    const ledger = path.join(folder, 'order');
    task('a', { trigger: 'CLOSE', action: script('a.sh', `echo a "$SCW_EVENT" "$MEDIATOR_TASK" "$(wc -c)" >>${ledger}`) });
    task('b', { trigger: 'CLOSE', action: script('b.sh', `echo b "$MEDIATOR_CUSTOM_DATA" >>${ledger}`), 'custom-data': { queue: 'DMZ' } });
    task('c', { trigger: 'CLOSE', enabled: false, action: script('c.sh', `echo c >>${ledger}`) });
    task('d', { trigger: 'CANCEL', action: script('d.sh', `echo d >>${ledger}`) });
    const { code } = await raise('CLOSE', newTicket());
    assert.equal(code, 0);
    assert.equal(readFileSync(ledger, 'utf8'), `a CLOSE a ${Buffer.byteLength(CLOSED)}\nb {"queue":"DMZ"}\n`);
  });

  test('without a task does nothing, succeeds, and says so', async () => {
    const { code, stderr } = await raise('REOPEN', newTicket());
    assert.equal(code, 0);
    assert.match(stderr, /no enabled task has the trigger "REOPEN"/);
  });

  test('fails if one of its tasks fails, and runs the others all the same', async () => {
    const ledger = path.join(folder, 'all');
    task('a', { trigger: 'CLOSE', action: script('a.sh', 'exit 3') });
    task('b', { trigger: 'CLOSE', action: script('b.sh', `echo b >>${ledger}`) });
    const { code, stderr } = await raise('CLOSE', newTicket());
    assert.equal(code, 1);
    assert.match(stderr, /task "a": failed/);
    assert.equal(readFileSync(ledger, 'utf8'), 'b\n');
  });

  test('before an operation is aborted by the first failure; the message reaches the host, custom data is nested in the payload', async () => {
    const ledger = path.join(folder, 'aborted');
    const action = script('a.sh', `base64 -d <<<"$1" >${ledger}.json; echo '{"result":"failure","message":"no"}'`);
    task('a', { trigger: 'Before Publish', action, 'custom-data': { format: 'CR' } });
    task('b', { trigger: 'Before Publish', action: script('b.sh', `echo b >>${ledger}; echo '{"result":"success"}'`) });
    const { code, stdout } = await raise('Before Publish', SESSION);
    assert.deepEqual([code, JSON.parse(stdout)], [0, { result: 'failure', message: 'no' }]);
    assert.throws(() => readFileSync(ledger));
    const payload: unknown = JSON.parse(readFileSync(`${ledger}.json`, 'utf8'));
    const sent: unknown = JSON.parse(SESSION);
    assert.ok(typeof sent === 'object' && sent !== null && 'custom-data' in sent && typeof sent['custom-data'] === 'object');
    assert.deepEqual(payload, { ...sent, 'custom-data': { ...sent['custom-data'], format: 'CR' } });
  });

  test('before an operation goes on if a task is broken and its fail-open is true, and not if it is false', async () => {
    task('a', { trigger: 'Before Publish', 'fail-open': true, action: script('a.sh', 'exit 1') });
    assert.deepEqual(JSON.parse((await raise('Before Publish', SESSION)).stdout), { result: 'success' });
    task('a', { trigger: 'Before Publish', 'fail-open': false, action: { 'run-script': { 'repository-script': 'a.sh' } } });
    const { stdout } = await raise('Before Publish', SESSION);
    assert.match(stdout, /"result":"failure"/);
  });

  test("the task's fail-open decides, whatever the manifest of its script says", async () => {
    for (const manifest of ['kind: before\n', 'kind: before\nfail-open: true\n']) {
      const action = script('a.sh', 'exit 3');
      agent.script('a.sh', '#!/bin/bash\nexit 3\n', { manifest });
      task('a', { trigger: 'Before Publish', 'fail-open': false, action });
      assert.match((await raise('Before Publish', SESSION)).stdout, /"result":"failure".*exited with 3/);
    }
    rmSync(path.join(agent.scripts, 'a.yaml'));
  });

  test('with a script that does not exist is decided by fail-open', async () => {
    task('a', { trigger: 'Before Publish', 'fail-open': false, action: { 'run-script': { 'repository-script': 'nothing.sh' } } });
    assert.match((await raise('Before Publish', SESSION)).stdout, /"result":"failure".*nothing\.sh/);
  });

  test('with a script that runs longer than its time-out ends it', async () => {
    agent.script('slow.sh', '#!/bin/bash\nexec sleep 60\n');
    files.push({ name: 'slow.sh' });
    task('a', {
      trigger: 'Before Publish',
      'fail-open': false,
      action: { 'run-script': { 'repository-script': 'slow.sh', 'time-out': 1 } },
    });
    assert.match((await raise('Before Publish', SESSION)).stdout, /"result":"failure"/);
    const [run] = await agent.runs('script=slow.sh');
    assert.equal(run?.outcome, 'timed-out');
  });

  const request = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
    'send-web-request': { url: web.url, fingerprint: web.fingerprint, 'shared-secret': 's3cret', 'time-out': 10, ...fields },
  });

  test('sends a web request with the payload, the custom data and the shared secret', async () => {
    task('a', { trigger: 'After Publish', action: request(), 'custom-data': { x: 1 } });
    assert.equal((await raise('After Publish', SESSION)).code, 0);
    const [received] = web.received;
    assert.deepEqual([received?.method, received?.url, received?.secret], ['POST', '/hook', 's3cret']);
    assert.deepEqual(received?.body['custom-data'], { 'session-name-format': 'CR', x: 1 });
  });

  test('sends the ticket of SecureChange in a web request', async () => {
    task('a', { trigger: 'CLOSE', action: request() });
    const ticket = newTicket();
    assert.equal((await raise('CLOSE', ticket)).code, 0);
    assert.deepEqual([web.received[0]?.body.event, web.received[0]?.body.ticket], ['CLOSE', ticket]);
  });

  for (const status of [201, 204, 302, 500]) {
    test(`takes HTTP ${status} for a failure: exactly 200 is success`, async () => {
      web.answer.status = status;
      task('a', { trigger: 'After Publish', action: request() });
      assert.equal((await raise('After Publish', SESSION)).code, 1);
      assert.equal(web.received.length, 1, 'redirects are not followed');
    });
  }

  test('takes the verdict of a web request', async () => {
    web.answer.body = '{"result":"failure","message":"not on a Friday"}';
    task('a', { trigger: 'Before Publish', action: request() });
    assert.deepEqual(JSON.parse((await raise('Before Publish', SESSION)).stdout), { result: 'failure', message: 'not on a Friday' });
  });

  test('sends nothing to a server with another fingerprint, nor without one to a server that nobody signed', async () => {
    for (const fingerprint of ['00'.repeat(20), undefined]) {
      task('a', { trigger: 'After Publish', 'fail-open': false, action: request({ fingerprint }) });
      assert.equal((await raise('After Publish', SESSION)).code, 1);
    }
    assert.equal(web.received.length, 0);
  });

  test('sends a web request through a proxy', async () => {
    task('a', { trigger: 'After Publish', action: request({ 'override-proxy': true, 'proxy-url': proxy.url }) });
    assert.equal((await raise('After Publish', SESSION)).code, 0);
    assert.deepEqual([proxy.targets.length, web.received.length], [1, 1]);
  });

  test('waits for a silent server no longer than its time-out', async () => {
    const silent = await startSilentServer();
    task('a', { trigger: 'After Publish', 'fail-open': false, action: request({ url: silent.url, 'time-out': 1 }) });
    assert.equal((await raise('After Publish', SESSION)).code, 1);
    await silent.close();
  });

  test('sends a mail with the payload attached', async (context) => {
    if (mail === undefined) {
      context.skip('this Python has no smtpd (it was removed in 3.12), so that no mail server can be started');
      return;
    }
    const settings = {
      recipients: 'a@x.example, b@x.example',
      'sender-email': 'c@x.example',
      subject: 'Published',
      body: 'Have a look.',
      attachment: 'payload',
    };
    const sent = (server: string) => ({ 'send-mail': { 'smtp-server': server, 'mail-settings': settings } });
    task('a', { trigger: 'After Submit', 'fail-open': false, action: sent('strict') });
    assert.equal((await raise('After Submit', SESSION)).code, 1, 'a server without TLS gets nothing, unless agent.yaml allows that');
    task('b', { trigger: 'After Publish', action: sent('office') });
    assert.equal((await raise('After Publish', SESSION)).code, 0);
    const { from, to, data } = await mail.next();
    assert.deepEqual([from, to], ['c@x.example', ['a@x.example', 'b@x.example']]);
    assert.match(data, /Subject: Published[^]*Have a look\.[^]*payload\.json/);
  });

  test('with a mail server that is down, or that agent.yaml does not know, is decided by fail-open', async () => {
    const settings = { recipients: 'a@x.example', 'sender-email': 'c@x.example' };
    for (const server of ['down', 'nowhere']) {
      for (const [failOpen, code] of [
        [true, 0],
        [false, 1],
      ] as const) {
        task('a', {
          trigger: 'After Publish',
          'fail-open': failOpen,
          action: { 'send-mail': { 'smtp-server': server, 'mail-settings': settings } },
        });
        assert.equal((await raise('After Publish', SESSION)).code, code);
      }
    }
  });

  test('with a broken task file runs the others', async () => {
    task('a', { trigger: 'CLOSE', action: {} });
    task('b', { trigger: 'CLOSE', action: script('b.sh', 'exit 4') });
    assert.equal((await raise('CLOSE', newTicket())).code, 1);
  });

  test('that is repeated does not run again what succeeded, and runs again what failed', async () => {
    const ledger = path.join(folder, 'again');
    task('a', { trigger: 'CLOSE', action: script('a.sh', `echo a >>${ledger}`) });
    task('b', { trigger: 'CLOSE', action: script('b.sh', `echo b >>${ledger}; exit 1`) });
    const ticket = newTicket();
    assert.equal((await raise('CLOSE', ticket)).code, 1);
    assert.equal((await raise('CLOSE', ticket)).code, 1);
    assert.equal(readFileSync(ledger, 'utf8'), 'a\nb\nb\n');
  });

  test('five identical events at once are one: its tasks are carried out once, and all callers get its answer', async () => {
    const gate = path.join(folder, 'gate');
    task('a', { trigger: 'CLOSE', action: script('a.sh', `until [[ -e ${gate} ]]; do sleep 0.01; done; exit 5`) });
    task('b', { trigger: 'CLOSE', action: request() });
    const ticket = newTicket().replace(/<id>\d+/, '<id>8888');
    const calls = Array.from({ length: 5 }, () => raise('CLOSE', ticket));
    const journal = new DatabaseSync(path.join(agent.state, 'journal.db'), { readOnly: true });
    const joined = journal.prepare(
      "SELECT count(*) AS count FROM attachments JOIN runs ON run = id WHERE ticket = '8888' AND script = 'event:CLOSE'",
    );
    await until('four have joined', () => joined.get()?.count === 4);
    journal.close();
    writeFileSync(gate, '');
    const [first, ...others] = await Promise.all(calls);
    assert.equal(first?.code, 1);
    for (const other of others) assert.deepEqual(other, first);
    assert.equal(web.received.length, 1);
  });

  test('with a ticket of 5 MB hands it to every script byte for byte; a web request does not carry it', async () => {
    const ledger = path.join(folder, 'large');
    const ticket = newTicket().replace('<id>', `<comment>${'x'.repeat(5_000_000)}</comment><id>`);
    for (const name of ['a', 'b']) task(name, { trigger: 'CLOSE', action: script(`${name}.sh`, `sha256sum >>${ledger}`) });
    task('c', { trigger: 'CLOSE', 'fail-open': false, action: request() });
    const { code, stderr } = await raise('CLOSE', ticket);
    assert.equal(code, 1);
    assert.match(stderr, /task "c": broken: the ticket has \d+ bytes/);
    const sum = createHash('sha256').update(ticket).digest('hex');
    assert.equal(readFileSync(ledger, 'utf8'), `${sum}  -\n`.repeat(2));
  });

  test('tasks list, show and test say what there is, and carry one out though it is disabled', async () => {
    task('Naming', { trigger: 'Before Publish', enabled: false, action: script('a.sh', `echo '{"result":"failure","message":"no"}'`) });
    task('Secret', { trigger: 'After Publish', action: request() });
    task('Broken', { trigger: 'CLOSE', action: {} });
    const list = await agent.command(['tasks', 'list']);
    assert.match(list.stdout, /Naming +Before Publish +run-script +disabled/);
    assert.match(list.stdout, /broken +Broken\.task\.json.*exactly one of/);
    const json = await agent.command(['tasks', 'list', '--json']);
    assert.equal(json.stdout.trim().split('\n').length, 3);
    assert.ok(!json.stdout.includes('s3cret'));
    assert.match((await agent.command(['tasks', 'show'], ['Naming'])).stdout, /trigger: +Before Publish/);
    const tested = await agent.command(['tasks', 'test'], ['Naming'], { stdin: SESSION });
    assert.deepEqual([tested.code, JSON.parse(tested.stdout)], [0, { result: 'failure', message: 'no' }]);
    assert.equal((await agent.command(['tasks', 'test'], ['Nobody'])).code, 127);
  });
});
