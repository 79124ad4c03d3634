import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { invoke, payload } from './invoke.ts';

const CLOSE = { SCW_EVENT: 'CLOSE' };

test('a closed ticket is printed as a notice when no mail server is set', async () => {
  const { code, stdout, stderr } = await invoke('notify-on-close.py', {
    stdin: payload('securechange/close.xml'),
    env: { ...CLOSE, MAIL_TO: 'noc@example.com' },
  });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.match(stdout, /^To: noc@example\.com$/m);
  assert.match(stdout, /^Subject: \[SecureChange\] 64 closed: Open 443 to web tier & API \(Zürich\)$/m);
  assert.match(stdout, /^Requester: {2}J\. Doe$/m);
  assert.match(stdout, /^Last step: {2}Verify and close$/m);
  assert.match(stdout, /^Opened: {5}2024-01-08 09:47 UTC$/m);
  assert.match(stdout, /^Closed: {5}2024-01-10 09:45 UTC$/m);
});

test('a ticket with nothing but an id still gives a notice', async () => {
  const { code, stdout } = await invoke('notify-on-close.py', { stdin: '<ticket_info><id>7</id></ticket_info>', env: CLOSE });
  assert.equal(code, 0);
  assert.match(stdout, /^Subject: \[SecureChange\] 7 closed:/m);
});

test('a date that is not in milliseconds is shown as it came', async () => {
  const stdin = '<ticket_info><id>7</id><createDate>2024-01-08T09:47:56Z</createDate></ticket_info>';
  const { stdout } = await invoke('notify-on-close.py', { stdin });
  assert.match(stdout, /^Opened: {5}2024-01-08T09:47:56Z$/m);
});

test('a line break in the subject does not become a mail header', async () => {
  const stdin = '<ticket_info><id>7</id><subject>Open 443&#10;Bcc: everybody@example.com</subject></ticket_info>';
  const { code, stdout } = await invoke('notify-on-close.py', { stdin });
  assert.equal(code, 0);
  assert.match(stdout, /^Subject: .* Open 443 Bcc: everybody@example\.com$/m);
  assert.doesNotMatch(stdout, /^Bcc:/m);
});

for (const ending of ['', '\n']) {
  test(`the Test button sends nothing and succeeds, ${ending ? 'with' : 'without'} a newline at the end`, async () => {
    const stdin = payload('securechange/test-button.xml').toString() + ending;
    const { code, stdout } = await invoke('notify-on-close.py', {
      stdin,
      args: ['test'],
      env: { SCW_EVENT: 'TEST', SMTP_HOST: '127.0.0.1', SMTP_PORT: '1' },
    });
    assert.equal(code, 0);
    assert.match(stdout, /^test: /);
  });
}

test('with a mail server set the notice is sent there', async (context) => {
  const server = await mailServer(context);
  const env = {
    ...CLOSE,
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(server.port),
    MAIL_FROM: 'sc@example.com',
    MAIL_TO: 'noc@example.com, it@example.com',
  };
  const { code, stdout, stderr } = await invoke('notify-on-close.py', { stdin: payload('securechange/close.xml'), env });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal(stdout, 'sent to noc@example.com, it@example.com\n');
  const mail = server.lines.join('\n');
  assert.match(mail, /^mail from:<sc@example\.com>/im);
  assert.match(mail, /^rcpt to:<noc@example\.com>/im);
  assert.match(mail, /^rcpt to:<it@example\.com>/im);
  assert.match(mail, /^Subject: \[SecureChange\] 64 closed: Open 443 to web tier/m);
});

test('a mail server that refuses the recipient fails the script with its reason', async (context) => {
  const server = await mailServer(context, '550 no such user');
  const env = { ...CLOSE, SMTP_HOST: '127.0.0.1', SMTP_PORT: String(server.port) };
  const { code, stdout, stderr } = await invoke('notify-on-close.py', { stdin: payload('securechange/close.xml'), env });
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^notify-on-close: mail server 127\.0\.0\.1:\d+: .*no such user/);
});

test('a mail server that is down fails the script, so that SecureChange tries again', async () => {
  const port = await closedPort();
  const env = { ...CLOSE, SMTP_HOST: '127.0.0.1', SMTP_PORT: String(port) };
  const { code, stderr } = await invoke('notify-on-close.py', { stdin: payload('securechange/close.xml'), env });
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`^notify-on-close: mail server 127\\.0\\.0\\.1:${port}: `));
});

const BAD_INPUT = {
  'an empty stdin': '',
  'text that is not XML': 'ticket 64 was closed',
  'XML that breaks off': payload('securechange/close.xml').subarray(0, 200),
  'XML that is not a ticket': '<field_info><id>64</id></field_info>',
  'a ticket without an id': '<ticket_info><subject>x</subject></ticket_info>',
};

for (const [what, stdin] of Object.entries(BAD_INPUT)) {
  test(`${what} is refused in one line`, async () => {
    const { code, stdout, stderr } = await invoke('notify-on-close.py', { stdin, env: CLOSE });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^notify-on-close: [^\n]+\n$/);
  });
}

/** Speaks enough SMTP for one mail, and keeps what it was told. */
async function mailServer(context: TestContext, recipientReply = '250 ok'): Promise<{ port: number; lines: string[] }> {
  const lines: string[] = [];
  const server = createServer((socket) => {
    converse(socket, lines, recipientReply).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return { port: portOf(server.address()), lines };
}

async function converse(socket: Socket, lines: string[], recipientReply: string): Promise<void> {
  const replies: Record<string, string> = { DATA: '354 go on', RCPT: recipientReply, QUIT: '221 bye' };
  let inMail = false;
  socket.write('220 mail.example.com\r\n');
  for await (const line of createInterface({ input: socket })) {
    lines.push(line);
    if (inMail && line !== '.') continue;
    const verb = line.slice(0, 4).toUpperCase();
    inMail = verb === 'DATA';
    socket.write(`${replies[verb] ?? '250 ok'}\r\n`);
    if (verb === 'QUIT') socket.end();
  }
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server.address());
  server.close();
  await once(server, 'close');
  return port;
}

function portOf(address: AddressInfo | string | null): number {
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}
