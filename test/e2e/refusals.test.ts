import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { mediatorAgent } from '../helpers/command.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { until } from '../helpers/wait.ts';
import { freePort, listen } from './ports.ts';
import { assertCalled, assertRefused, makeStub, makeStubs, type CallOptions, type Stub } from './stubs.ts';

const LIMITED = { id: 'limited', secret: 'a-secret-of-a-key-that-may-call-few-scripts', scripts: ['allowed-*'] };
const TICKET = '<ticket_info><id>64</id><subject>not for strangers</subject></ticket_info>';

suite('the exit code of a stub that is refused, with one line that says why', () => {
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };
  let ledger: string;

  before(async () => {
    agent = await startAgent({ keys: [LIMITED], settings: { limits: { queue: 0 } } });
    stubs = await makeStubs(agent);
    ledger = path.join(agent.dir, 'ledger');
    for (const name of ['ok.sh', 'twice.sh', 'twice.py']) script(name);
  });
  after(() => agent.close());

  const script = (name: string, options: { mode?: number; manifest?: string } = {}, head = '#!/bin/sh\n'): string =>
    agent.script(name, `${head}echo started >>${ledger}\n`, options);

  async function refuses(
    code: number,
    args: string[],
    options: CallOptions = {},
    transports: readonly ('wss' | 'ws')[] = ['wss', 'ws'],
  ): Promise<string> {
    let stderr = '';
    for (const transport of transports) {
      const called = await stubs[transport].call(args, options);
      assertRefused(called, code);
      ({ stderr } = called);
    }
    assert.ok(!existsSync(ledger), 'a script was started');
    assert.deepEqual(agent.incoming(), []);
    return stderr;
  }

  test('64: no script is named, or an option that does not exist', async () => {
    await refuses(64, []);
    await refuses(64, ['--no-such-option']);
  });

  test('75: as many runs as the agent takes', async () => {
    const go = path.join(agent.dir, 'go');
    agent.script('one-at-a-time.sh', `#!/bin/bash\necho begun\nuntil [[ -e ${go} ]]; do sleep 0.02; done\n`, {
      manifest: 'concurrency: 1\n',
    });
    const first = stubs.wss.start(['one-at-a-time']);
    await first.printed('begun');
    await refuses(75, ['one-at-a-time']);
    writeFileSync(go, '');
    assertCalled(await first.end(), { stdout: 'begun\n' });
  });

  test('75: a script that is being written; as soon as it is left alone, it runs', async () => {
    const slow = await startAgent({ settings: { settle: '500ms' } });
    try {
      const stub = await makeStub(slow);
      slow.script('new.sh', '#!/bin/sh\necho run\n');
      // The agent may have noticed the change only now, or half a second ago, if the machine is busy.
      const first = await stub.call(['new']);
      if (first.code !== 0) assertRefused(first, 75);
      await until('the script runs', async () => (await stub.call(['new'])).code === 0);
      slow.script('new.sh', '#!/bin/sh\necho changed\n');
      await until('the new version runs', async () => (await stub.call(['new'])).stdout.toString() === 'changed\n');
    } finally {
      await slow.close();
    }
  });

  test('77: the secret is wrong, or the key unknown', async () => {
    await refuses(77, ['ok'], { env: { MEDIATOR_KEY: `${agent.key.id}:${'x'.repeat(43)}` }, stdin: TICKET });
    await refuses(77, ['ok'], { env: { MEDIATOR_KEY: `unknown:${agent.key.secret}` }, stdin: TICKET });
  });

  test('77: the key may not call this script; whether it exists cannot be told', async () => {
    const env = { MEDIATOR_KEY: `${LIMITED.id}:${LIMITED.secret}` };
    const answers = [await refuses(77, ['ok'], { env }), await refuses(77, ['nothing-here'], { env })];
    assert.equal(answers[0], answers[1]);
    agent.script('allowed-one.sh', '#!/bin/sh\necho allowed\n');
    assertCalled(await stubs.wss.call(['allowed-one'], { env }), { stdout: 'allowed\n' });
  });

  test('77: the clocks differ by more than five minutes', async () => {
    const source = readFileSync(stubs.ws.file, 'utf8');
    const skewed = source.replace(/^( *)printf -v now '%\(%s\)T' -1$/m, '$&\n$1((now -= 400))');
    assert.notEqual(skewed, source, 'the stub takes its time in another way now');
    const file = path.join(path.dirname(stubs.ws.file), 'skewed.sh');
    writeFileSync(file, skewed);
    const stub = stubs.ws.at(file);
    const called = await stub.call([], { env: { MEDIATOR_SCRIPT: 'ok' } });
    assertRefused(called, 77);
    assert.match(called.stderr, /40\d s behind/);
  });

  test('78: a name that the agent does not answer to', async () => {
    const url = agent.urls.ws.replace('127.0.0.1', '127.0.0.2');
    const called = await stubs.ws.call(['ok'], { env: { MEDIATOR_URL: url } });
    assert.ok([69, 78].includes(called.code ?? 0), called.stderr); // 69 where nothing listens on 127.0.0.2
    assert.equal(called.stdout.toString(), '');
  });

  test('78: settings that are wrong are named', async () => {
    for (const [name, value] of Object.entries({
      MEDIATOR_URL: 'http://127.0.0.1',
      MEDIATOR_KEY: 'no-colon',
      MEDIATOR_CA: '/nowhere/ca.pem',
      MEDIATOR_HOST: 'elsewhere',
      MEDIATOR_TIMEOUT: 'soon',
      MEDIATOR_TRANSPORT: 'pigeon',
    })) {
      assert.match(await refuses(78, ['ok'], { env: { [name]: value } }, ['wss']), new RegExp(name));
    }
  });

  test('78: plaintext to another machine, unless the settings allow it', async () => {
    await refuses(78, ['ok'], { env: { MEDIATOR_URL: 'ws://192.0.2.1:1' }, stdin: TICKET }, ['ws']);
  });

  test('126: what is there may not run', async () => {
    script('world.sh', { mode: 0o757 });
    script('no-interpreter.sh', {}, '#!/nowhere/python3\n');
    script('broken.sh', { manifest: 'timeout: soon\n' });
    symlinkSync('/bin/true', path.join(agent.scripts, 'link'));
    assert.match(await refuses(126, ['twice'], {}, ['wss']), /twice\.py.*twice\.sh|twice\.sh.*twice\.py/);
    assert.match(await refuses(126, ['world'], {}, ['wss']), /world\.sh/);
    assert.match(await refuses(126, ['no-interpreter'], {}, ['wss']), /\/nowhere\/python3/);
    assert.match(await refuses(126, ['broken'], {}, ['wss']), /broken\.yaml:1: timeout/);
    await refuses(126, ['link'], {}, ['wss']);
  });

  test('127: no such script, or a name that can be none', async () => {
    assert.match(await refuses(127, ['nothing-here']), /nothing-here/);
    for (const name of ['../ok', '/bin/true', '..', 'sub/../ok', '.', './ok.sh/../ok']) await refuses(127, [name], {}, ['ws']);
  });

  suite('the port is not the agent', () => {
    test('69: nobody listens', async () => {
      const port = await freePort();
      await refuses(69, ['ok'], { env: { MEDIATOR_URL: `wss://127.0.0.1:${port}` }, stdin: TICKET }, ['wss']);
      await refuses(69, ['ok'], { env: { MEDIATOR_URL: `ws://127.0.0.1:${port}` }, stdin: TICKET }, ['ws']);
    });

    const answer = (text: string) => (socket: Socket) => void socket.once('data', () => socket.end(text));
    const strangers: [what: string, code: number, onConnection: (socket: Socket) => void][] = [
      ['says nothing', 69, () => undefined],
      ['closes at once', 69, (socket) => void socket.end()],
      ['reads, and closes', 69, (socket) => void socket.once('data', () => socket.end())],
      ['resets', 69, (socket) => void socket.once('data', () => socket.resetAndDestroy())],
      ['speaks something else', 78, answer('220 mail.example ESMTP\r\n')],
      ['sends endless garbage', 78, (socket) => void socket.once('data', () => socket.end(Buffer.alloc(1_000_000, 0x5a)))],
      ['is a web server', 78, answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')],
      ['is a proxy without an agent', 69, answer('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')],
      ['is another WebSocket server', 78, answer('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')],
    ];
    for (const [what, code, onConnection] of strangers) {
      test(`${code}: it ${what}; and never sees the ticket`, async () => {
        const heard: Buffer[] = [];
        const server = createServer((socket) => {
          socket.on('error', () => undefined);
          socket.on('data', (chunk) => heard.push(chunk));
          onConnection(socket);
        });
        const port = await listen(server);
        try {
          const env = { MEDIATOR_URL: `ws://127.0.0.1:${port}`, MEDIATOR_CONNECT_TIMEOUT: '1' };
          await refuses(code, ['ok', 'secret-argument'], { env: { ...env, SCW_EVENT: 'SECRET' }, stdin: TICKET }, ['ws']);
          const text = Buffer.concat(heard).toString('latin1');
          assert.doesNotMatch(text, /ticket_info|secret-argument|SECRET/);
          assert.ok(!text.includes(agent.key.secret));
        } finally {
          server.close();
        }
      });
    }

    test('77: it has a certificate, but not the one that the stub knows', async (context) => {
      const dir = path.join(temporaryFolder(context), 'other');
      assert.equal((await mediatorAgent(['init', '--dir', dir, '--name', '127.0.0.1'])).code, 0);
      const [key, certificate] = [path.join(dir, 'tls/key.pem'), path.join(dir, 'tls/cert.pem')];
      const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) });
      server.on('tlsClientError', () => undefined);
      const port = await listen(server);
      try {
        await refuses(77, ['ok'], { env: { MEDIATOR_URL: `wss://127.0.0.1:${port}` }, stdin: TICKET }, ['wss']);
        await refuses(77, ['ok'], { env: { MEDIATOR_CA: certificate }, stdin: TICKET }, ['wss']);
      } finally {
        server.close();
      }
    });

    test('77: it has the certificate of the agent, and does not know the secret of the key', async () => {
      const heard: Buffer[] = [];
      const options = { key: readFileSync(path.join(agent.dir, 'tls/key.pem')), cert: agent.certificate };
      const server = createTlsServer(options, (socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (chunk: Buffer) => heard.push(chunk));
        socket.once('data', (request: Buffer) => socket.write(switching(request.toString('latin1'))));
      });
      const port = await listen(server);
      try {
        await refuses(77, ['ok'], { env: { MEDIATOR_URL: `wss://127.0.0.1:${port}` }, stdin: TICKET }, ['wss']);
        assert.doesNotMatch(Buffer.concat(heard).toString('latin1'), /ticket_info/);
      } finally {
        server.close();
      }
    });

    test('69: TLS to a port without it, and the other way round', async () => {
      await refuses(69, ['ok'], { env: { MEDIATOR_URL: agent.urls.ws.replace('ws:', 'wss:') }, stdin: TICKET }, ['wss']);
      const called = await stubs.ws.call(['ok'], { env: { MEDIATOR_URL: agent.urls.wss.replace('wss:', 'ws:') }, stdin: TICKET });
      assert.ok([69, 78].includes(called.code ?? 0), called.stderr); // silence, a close, or an alert in TLS
    });
  });
});

/** A right answer to an upgrade request, but for the proof. */
function switching(request: string): string {
  const key = /^sec-websocket-key: (.*)\r$/im.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Protocol: mediator.v1'];
  return [...lines, `Sec-WebSocket-Accept: ${accept}`, `Mediator-Proof: ${'0'.repeat(32)}`, '', ''].join('\r\n');
}
