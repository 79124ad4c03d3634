/** Bad input, against a running agent: refused with the right code, nothing started, nothing left over. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import { exitCodeOf, type FailureCode } from '../../protocol/failures.ts';
import { LIMITS } from '../../protocol/constants.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { descriptorsOf, residentBytes } from '../helpers/processes.ts';
import { authHeaders, dial, exchange, invoke, newToken, openSocket, refusalOf, startMessage, type Call } from '../helpers/stub.ts';
import { soon, until } from '../helpers/wait.ts';

const STRANGER = { id: 'stranger', secret: 'x'.repeat(43) };
const LIMITED = { id: 'limited', secret: 'l'.repeat(43), scripts: ['allowed/**', 'backup'] };

suite('bad input', () => {
  let agent: TestAgent;
  let ledger: string;
  let descriptors: number;

  before(async () => {
    agent = await startAgent({ keys: [LIMITED], settings: { limits: { stdin: 65536 } } });
    ledger = path.join(agent.dir, 'ledger');
    await invoke(agent, { script: 'first' }); // the link between front and runner is made with the first call, and stays
  });
  after(() => agent.close());

  beforeEach(() => {
    rmSync(agent.scripts, { recursive: true });
    mkdirSync(agent.scripts, { mode: 0o755 });
    script('ok.sh');
    descriptors = descriptorsOf(agent.part('runner') ?? 0);
  });

  /** Nothing was started, and nothing is left over. */
  afterEach(async () => {
    await until('the spool has no part of an upload', () => agent.incoming().length === 0);
    assert.deepEqual(await agent.runs(), []);
    assert.deepEqual(agent.spooled(), []);
    assert.ok(!existsSync(ledger), 'a script was started');
    await until('the runner has no more descriptors than before', () => descriptorsOf(agent.part('runner') ?? 0) <= descriptors);
  });

  /** A script that would write down that it was started. */
  function script(name: string, options: Parameters<TestAgent['script']>[2] & { head?: string } = {}): string {
    return agent.script(name, `${options.head ?? '#!/bin/bash\n'}echo started >>${ledger}\n`, options);
  }

  async function refuses(code: FailureCode, name: string, fields: Parameters<typeof startMessage>[0] | object = {}): Promise<string> {
    const { run, terminal } = await invoke(agent, { ...fields, script: name });
    assert.equal(run, undefined);
    assert.equal(terminal.outcome, 'refused');
    assert.equal(terminal.code, exitCodeOf(code), terminal.message);
    assert.doesNotMatch(terminal.message, /\n/);
    return terminal.message;
  }

  /** What the agent makes of a connection on which `act` does something wrong. */
  async function refusesMessages(code: FailureCode, act: (call: Call) => void): Promise<Call> {
    const call = await dial(agent);
    act(call);
    const terminal = await call.terminal();
    assert.deepEqual(
      { ...terminal, message: '' },
      {
        ...{ type: 'terminal', outcome: 'refused', code: exitCodeOf(code), stdout: 0, stderr: 0, message: '' },
      },
    );
    assert.notEqual(terminal.message, '');
    await call.close();
    assert.deepEqual(call.late, []);
    return call;
  }

  suite('in the name of a script', () => {
    test('that no file answers to is refused', async () => {
      await refuses('no-such-script', 'nothing');
      await refuses('no-such-script', 'ok.sh/below');
      await refuses('no-such-script', 'ok.py');
    });
    test('that is as long as the wire allows is refused like any other', async () => {
      await refuses('no-such-script', 'x'.repeat(LIMITS.scriptName));
      await refuses('no-such-script', '\u{1f525}'.repeat(63));
    });
    test('that is a link to itself is refused', async () => {
      symlinkSync('loop.py', path.join(agent.scripts, 'loop.py'));
      await refuses('no-such-script', 'loop.py');
      await refuses('no-such-script', 'loop');
    });
    test('that two files answer to is refused, and the message names both', async () => {
      script('twice.py');
      script('twice.sh');
      assert.match(await refuses('ambiguous-script', 'twice'), /twice\.py.*twice\.sh/);
    });
    test('that leads out of the folder is refused', async () => {
      for (const name of ['../ok.sh', 'a/../../ok.sh', '..', 'a/..', './ok.sh', '.', '/ok.sh', '/bin/true', 'a//b', 'a/', '\0', '.ok.sh']) {
        await refuses('invalid-name', name);
      }
    });
    test('that is an absolute name within the folder is refused', async () => {
      await refuses('invalid-name', path.join(agent.scripts, 'ok.sh'));
    });
    test('with control characters is refused with one line', async () => {
      await refuses('no-such-script', 'a\nb\u001b[31m\r\u2028c');
    });
    test('that is a manifest, a folder, data or a pipe is refused', async () => {
      script('with.sh', { manifest: 'timeout: 1s\n' });
      mkdirSync(path.join(agent.scripts, 'folder.sh'));
      script('data.json');
      for (const name of ['with.yaml', 'folder.sh', 'folder', 'data.json', 'data']) await refuses('no-such-script', name);
    });
  });

  suite('in the scripts folder', () => {
    test('a link that leads out of it is refused', async () => {
      symlinkSync('/bin/true', path.join(agent.scripts, 'out'));
      await refuses('outside-folder', 'out');
      symlinkSync('/bin', path.join(agent.scripts, 'bin'));
      await refuses('outside-folder', 'bin/true');
    });
    test('a link to a folder whose name begins like its own is refused', async () => {
      mkdirSync(`${agent.scripts}-too`);
      writeFileSync(`${agent.scripts}-too/s.sh`, `echo started >>${ledger}\n`, { mode: 0o755 });
      symlinkSync('../scripts-too/s.sh', path.join(agent.scripts, 's.sh'));
      await refuses('outside-folder', 's');
    });
    test('a script that others may write to is refused', async () => {
      script('world.sh', { mode: 0o757 });
      script('group.sh', { mode: 0o775 });
      await refuses('unsafe-script', 'world');
      await refuses('unsafe-script', 'group');
    });
    test('a script in a folder that others may write to is refused', async () => {
      script('sub/deep/s.sh');
      chmodSync(path.join(agent.scripts, 'sub'), 0o777);
      await refuses('unsafe-script', 'sub/deep/s');
      chmodSync(path.join(agent.scripts, 'sub'), 0o755);
      chmodSync(agent.scripts, 0o775);
      await refuses('unsafe-script', 'sub/deep/s');
    });
    test('a script whose link is in a folder that others may write to is refused', async () => {
      mkdirSync(path.join(agent.scripts, 'loose'));
      symlinkSync('../ok.sh', path.join(agent.scripts, 'loose/link.sh'));
      chmodSync(path.join(agent.scripts, 'loose'), 0o777);
      await refuses('unsafe-script', 'loose/link');
    });
    test('a script whose manifest others may write to is refused', async () => {
      script('loose.sh', { manifest: 'timeout: 1s\n' });
      chmodSync(path.join(agent.scripts, 'loose.yaml'), 0o666);
      await refuses('unsafe-script', 'loose');
    });
    test('a script of another user is refused', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
      chownSync(script('theirs.sh'), 12345, 12345);
      await refuses('unsafe-script', 'theirs');
    });
    test('a script whose interpreter is missing is refused, and the message names it', async () => {
      script('shebang.sh', { head: '#!/nowhere/bash -e\n' });
      assert.match(await refuses('missing-interpreter', 'shebang'), /\/nowhere\/bash/);
      script('env.sh', { head: '#!/usr/bin/env nowhere-bash\n' });
      assert.match(await refuses('missing-interpreter', 'env'), /nowhere-bash/);
      script('manifest.sh', { manifest: 'interpreter: [/nowhere/python3, -u]\n' });
      assert.match(await refuses('missing-interpreter', 'manifest'), /\/nowhere\/python3/);
    });
    test('a script with Windows line endings is refused, and the message says so', async () => {
      script('windows.sh', { head: '#!/bin/bash\r\n' });
      assert.match(await refuses('missing-interpreter', 'windows'), /Windows/);
      script('env.sh', { head: '#!/usr/bin/env bash\r\n' });
      assert.match(await refuses('missing-interpreter', 'env'), /Windows/);
    });
    test('a script whose manifest is broken is refused, and the message names file, line and field of every fault', async () => {
      script('broken.sh', { manifest: 'description: x\ntimeout: soon\nconcurrency: 0\nretry: 1\n' });
      const message = await refuses('broken-manifest', 'broken');
      for (const fault of [/broken\.yaml:2: timeout/, /broken\.yaml:3: concurrency/, /broken\.yaml:4: retry/]) assert.match(message, fault);
      script('syntax.sh', { manifest: 'description: "x\n' });
      assert.match(await refuses('broken-manifest', 'syntax'), /syntax\.yaml:\d/);
    });
    test('a script whose manifest is a folder is refused', async () => {
      script('folder.sh');
      mkdirSync(path.join(agent.scripts, 'folder.yaml'), { mode: 0o755 });
      await refuses('broken-manifest', 'folder');
    });
    test('a script whose manifest asks for a secret that there is not is refused', async () => {
      script('secret.sh', { manifest: 'secrets: [NOT_THERE]\n' });
      await refuses('cannot-start', 'secret');
    });
  });

  suite('in the opening', () => {
    test('a key that does not exist and a wrong secret get the same answer, byte for byte', async () => {
      const pair = [STRANGER.id, agent.key.id];
      for (const transport of ['ws', 'wss'] as const) {
        const unknown = await refusalOf(agent, { key: STRANGER, transport });
        const wrong = await refusalOf(agent, { key: { ...agent.key, secret: STRANGER.secret }, transport });
        assert.equal(unknown.failure, 'unauthorized');
        assert.deepEqual(wrong, unknown);
        assert.ok(!JSON.stringify(unknown).includes(STRANGER.id), 'the caller is told nothing of keys');
      }
      const claimed = (): unknown[] => agent.logSoFar().flatMap((line) => (line.code === 'unauthorized' ? [line.claimed] : []));
      await until('the log tells which key each refusal is about', () => claimed().join() === [...pair, ...pair].join());
    });
    test('a request that was used before is refused', async () => {
      const options = { nonce: newToken(), time: Math.floor(Date.now() / 1000) };
      const call = await dial(agent, options);
      assert.equal((await refusalOf(agent, options)).failure, 'replayed');
      await call.close();
      assert.equal((await refusalOf(agent, options)).failure, 'replayed');
    });
    test('a clock that is more than five minutes away is refused, before the key is looked at', async () => {
      const now = Math.floor(Date.now() / 1000);
      for (const time of [now - 310, now + 310, 0]) {
        assert.equal((await refusalOf(agent, { time })).failure, 'clock-skew');
        assert.equal((await refusalOf(agent, { time, key: STRANGER })).failure, 'clock-skew');
      }
    });
    test('a proof for another name is refused', async () => {
      assert.equal((await refusalOf(agent, { audience: 'elsewhere.example' })).failure, 'misdirected');
    });
    test('a proof that was made for another name, key, time or nonce is refused', async () => {
      const { authorization = '' } = authHeaders(agent, { audience: 'localhost' });
      assert.equal((await refusalOf(agent, { headers: { authorization } })).failure, 'unauthorized');
      const nonce = authorization.replace(/nonce="./, (start) => start.slice(0, -1) + (start.endsWith('0') ? '1' : '0'));
      assert.equal((await refusalOf(agent, { audience: 'localhost', headers: { authorization: nonce } })).failure, 'unauthorized');
    });
    test('an Authorization header that is missing, malformed or doubled is refused', async () => {
      const { authorization = '' } = authHeaders(agent);
      for (const value of [
        undefined,
        '',
        'Basic eDp5',
        authorization.toUpperCase(),
        `${authorization},`,
        authorization.replace('proof', 'hmac'),
      ]) {
        assert.equal((await refusalOf(agent, { headers: { authorization: value } })).failure, 'bad-request');
      }
      assert.equal((await refusalOf(agent, { headers: { 'mediator-audience': undefined } })).failure, 'bad-request');
      assert.equal((await refusalOf(agent, { headers: { 'mediator-audience': 'a b' } })).failure, 'bad-request');
    });
    test('an Origin header is refused, even with a right proof', async () => {
      const refusal = await refusalOf(agent, { headers: { origin: 'https://agent.example' } });
      assert.equal(refusal.failure, 'origin');
      assert.equal(refusal.status, 403);
    });
    test('no subprotocol, or another one, is refused', async () => {
      assert.equal((await refusalOf(agent, { subprotocols: [] })).failure, 'bad-request');
      assert.equal((await refusalOf(agent, { subprotocols: ['mediator.v2', 'chat'] })).failure, 'bad-request');
    });
    test('a plain HTTP request is refused, and the connection is closed by us', async () => {
      for (const transport of ['ws', 'wss'] as const) {
        const refusal = await exchange(agent, 'GET /v1/run HTTP/1.1\r\nHost: a\r\n\r\n', transport);
        assert.equal(refusal.failure, 'upgrade-required');
        assert.equal(refusal.status, 426);
        assert.match(refusal.body, /^[^\n]+\n$/);
      }
      assert.equal((await exchange(agent, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).failure, 'not-found');
      assert.equal((await exchange(agent, 'POST /v1/run HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')).failure, 'bad-request');
      assert.equal(
        (await exchange(agent, 'GET /v1/runs HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')).failure,
        'not-found',
      );
    });
    test('what is not HTTP is refused', async () => {
      assert.equal((await exchange(agent, '\u0016\u0003\u0001\u0002\0\u0001\0\u0001\r\n\r\n')).failure, 'bad-request');
      assert.equal((await exchange(agent, 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'wss')).failure, 'bad-request');
    });
    test('headers of more than 8 KiB are refused', async () => {
      const large = `GET /v1/run HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(LIMITS.headers)}\r\n\r\n`;
      for (const transport of ['ws', 'wss'] as const) {
        const refusal = await exchange(agent, large, transport);
        assert.equal(refusal.failure, 'headers-too-large');
        assert.equal(refusal.status, 431);
      }
    });
    test('endless headers are refused, and the refusal can be read', async () => {
      const refusal = await exchange(agent, `GET /v1/run HTTP/1.1\r\n${`X: ${'x'.repeat(1000)}\r\n`.repeat(1000)}`);
      assert.equal(refusal.failure, 'headers-too-large');
    });
    test('another version of WebSocket is refused', async () => {
      const lines = Object.entries(authHeaders(agent)).map(([name, value]) => `${name}: ${value}\r\n`);
      const head =
        'GET /v1/run HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mediator.v1\r\n';
      const refusal = await exchange(
        agent,
        `${head}Sec-WebSocket-Version: 7\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n${lines.join('')}\r\n`,
      );
      assert.equal(refusal.failure, 'bad-request');
    });
    test('a script that the key may not call is refused alike, whether or not it exists', async () => {
      script('allowed/a.sh');
      const answers = [];
      for (const name of ['ok', 'nothing', '../ok', 'allowed', 'allowed/../ok', 'backup.restore']) {
        const { run, terminal } = await invoke(agent, { script: name }, { key: LIMITED });
        assert.equal(run, undefined);
        answers.push(terminal);
      }
      const refused = answers.filter(({ code }) => code === exitCodeOf('not-allowed'));
      assert.equal(new Set(refused.map((terminal) => JSON.stringify(terminal))).size, 1);
      assert.equal(refused.length, 5, 'all but allowed/../ok, which is no name at all');
    });
  });

  suite('in messages', () => {
    test('JSON that is none is refused', async () => {
      for (const text of [
        '',
        '{',
        'null',
        '[]',
        '"start"',
        '{"type":"start"',
        '\ufeff{"type":"cancel"}',
        '{}',
        '{"type":"stop"}',
        '{"type":1}',
      ]) {
        await refusesMessages('invalid-message', (call) => {
          call.send({ text });
        });
      }
    });
    test('a field that is unknown, missing or of another type is refused', async () => {
      const start = startMessage({ script: 'ok' });
      const wrong: unknown[] = [
        { ...start, shell: true },
        { ...start, args: undefined },
        { ...start, args: 'one' },
        { ...start, args: [1] },
        { ...start, args: [null] },
        { ...start, env: { 'A=B': 'x' } },
        { ...start, env: { A: 1 } },
        { ...start, token: 'short' },
        { ...start, host: 'other' },
        { ...start, timeout: 0 },
        { ...start, timeout: 1.5 },
        { ...start, accept: { frame: 10, bulk: 0 } },
        { ...start, accept: { frame: 65_535, bulk: 1 } },
        { ...start, script: '' },
        { ...start, script: 'x'.repeat(256) },
        { ...start, caller: { key: 'stub-1', address: '127.0.0.1' } },
      ];
      for (const message of wrong) {
        await refusesMessages('invalid-message', (call) => {
          call.send({ text: JSON.stringify(message) });
        });
      }
    });
    test('an argument that is not UTF-8 is refused', async () => {
      const [before = '', behind = ''] = JSON.stringify(startMessage({ script: 'ok', args: ['@'] })).split('@');
      for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
        await refusesMessages('invalid-text', (call) => {
          call.send({ text: Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(behind)]) });
        });
      }
      await refusesMessages('invalid-text', (call) => {
        call.send({ text: `${before}\\ud83d${behind}` });
      });
    });
    test('a NUL in an argument or a variable is refused', async () => {
      await refusesMessages('invalid-text', (call) => {
        call.send(startMessage({ script: 'ok', args: ['a\0b'] }));
      });
      await refusesMessages('invalid-text', (call) => {
        call.send(startMessage({ script: 'ok', env: { SCW_EVENT: 'a\0b' } }));
      });
    });
    test('an argument that Linux cannot pass is refused, however many bytes its characters have', async () => {
      for (const arg of ['x'.repeat(LIMITS.argument + 1), '\u20ac'.repeat(43_691)]) {
        await refusesMessages('argument-too-long', (call) => {
          call.send(startMessage({ script: 'ok', args: ['a', arg] }));
        });
      }
    });
    test('too many arguments or variables are refused', async () => {
      await refusesMessages('request-too-large', (call) => {
        call.send(startMessage({ script: 'ok', args: Array.from({ length: LIMITS.arguments + 1 }, () => '') }));
      });
      const env = Object.fromEntries(Array.from({ length: LIMITS.variables + 1 }, (_, index) => [`SCW_${index}`, '']));
      await refusesMessages('request-too-large', (call) => {
        call.send(startMessage({ script: 'ok', env }));
      });
      await refusesMessages('request-too-large', (call) => {
        call.send(startMessage({ script: 'ok', env: { SCW_A: 'x'.repeat(LIMITS.variable + 1) } }));
      });
    });
    test('a message of more than 1 MiB is refused, whatever is in it', async () => {
      await refusesMessages('request-too-large', (call) => {
        call.send({ text: 'x'.repeat(LIMITS.message + 1) });
      });
      await refusesMessages('request-too-large', (call) => {
        call.send(startMessage({ script: 'ok' }));
        call.sendBinary(Buffer.alloc(LIMITS.message + 1));
      });
    });
    test('a message that is far too large is not even read', async () => {
      const call = await dial(agent);
      call.send({ text: 'x'.repeat(5 * LIMITS.message) });
      assert.equal(await soon('the close', call.closed), 1009);
    });
    test('more stdin than is allowed is refused while it arrives', async () => {
      const call = await refusesMessages('stdin-too-large', (stub) => {
        stub.send(startMessage({ script: 'ok' }));
        stub.sendBinary(Buffer.alloc(LIMITS.message));
        stub.sendBinary(Buffer.alloc(65537));
      });
      assert.equal(call.run, undefined);
    });
    test('more stdin than is allowed is refused when it is announced', async () => {
      await refusesMessages('stdin-too-large', (call) => {
        call.send(startMessage({ script: 'ok' }));
        call.sendStdin(Buffer.alloc(65537));
      });
    });
    test('less stdin than was announced is refused', async () => {
      await refusesMessages('stdin-incomplete', (call) => {
        call.send(startMessage({ script: 'ok' }));
        call.sendStdin(Buffer.from('abc'), 4);
      });
    });
    test('a resume of a run that nobody knows is refused', async () => {
      await refusesMessages('unknown-run', (call) => {
        call.send({ type: 'resume', token: newToken(), stdout: 0, stderr: 0, accept: { frame: 65_535, bulk: 0 } });
      });
    });
  });

  suite('at the wrong moment', () => {
    test('binary before start is refused', async () => {
      await refusesMessages('out-of-order', (call) => {
        call.sendBinary(Buffer.from(JSON.stringify(startMessage({ script: 'ok' }))));
      });
    });
    test('everything but start and resume is refused as the first message', async () => {
      for (const message of [
        { type: 'end', stdin: 0 },
        { type: 'cancel' },
        { type: 'ack' },
        { type: 'read', run: '0'.repeat(26), stdout: 0, stderr: 0, accept: { frame: 65_535, bulk: 0 } },
      ] as const) {
        await refusesMessages('out-of-order', (call) => {
          call.send(message);
        });
      }
    });
    test('start, resume, read and ack are refused while stdin is sent', async () => {
      const accept = { frame: 65_535, bulk: 0 };
      for (const message of [
        startMessage({ script: 'ok' }),
        { type: 'resume', token: newToken(), stdout: 0, stderr: 0, accept },
        { type: 'read', run: '0'.repeat(26), stdout: 0, stderr: 0, accept },
        { type: 'ack' },
      ] as const) {
        await refusesMessages('out-of-order', (call) => {
          call.send(startMessage({ script: 'ok' }));
          call.sendBinary(Buffer.from('abc'));
          call.send(message);
        });
      }
    });
    test('text where binary is due is refused', async () => {
      await refusesMessages('invalid-message', (call) => {
        call.send(startMessage({ script: 'ok' }));
        call.send({ text: '<ticket_info/>' });
      });
    });
    test('cancel while stdin is sent starts nothing, and closes', async () => {
      const call = await dial(agent);
      call.send(startMessage({ script: 'ok' }));
      call.sendBinary(Buffer.alloc(100_000));
      call.send({ type: 'cancel' });
      assert.equal(await soon('the close', call.closed), 1000);
      assert.deepEqual(call.messages, []);
    });
    test('a connection that is lost while stdin is sent leaves nothing behind', async () => {
      const call = await dial(agent);
      call.send(startMessage({ script: 'ok' }));
      call.sendBinary(Buffer.alloc(100_000));
      await until('the upload has a file', () => agent.incoming().length === 1);
      call.destroy();
      await until('the upload has gone', () => agent.incoming().length === 0);
    });
    test('what follows a refusal is ignored', async () => {
      const call = await dial(agent);
      call.send({ text: 'nonsense' });
      call.send(startMessage({ script: 'ok' }));
      call.send({ type: 'end', stdin: 0 });
      assert.equal((await call.terminal()).code, exitCodeOf('invalid-message'));
      await call.close();
      assert.deepEqual(call.late, []);
    });
  });

  test('a frame that breaks RFC 6455 closes the connection', async () => {
    const lines = Object.entries(authHeaders(agent)).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = 'GET /v1/run HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mediator.v1\r\n';
    const unmasked = Buffer.from([0x81, 0x02, 0x7b, 0x7d]);
    const socket = await openSocket(agent);
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
    socket.write(`${head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n${lines.join('')}\r\n`);
    await until('101', () => answer.includes('\r\n\r\n'));
    socket.write(unmasked);
    await until('a close frame with 1002', () => answer.endsWith('\u0088\u0002\u0003\u00ea'));
    socket.destroy();
  });

  test('whoever was refused and does not go away is cut off', async () => {
    const front = agent.part('front');
    assert.ok(front !== undefined);
    const before = descriptorsOf(front);
    const requests = [
      'GET /v1/run HTTP/1.1\r\nHost: a\r\n\r\n',
      'nonsense\r\n\r\n',
      'POST /v1/run HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na',
    ];
    const sockets = await Promise.all(
      [...requests, ...requests].map(async (bytes) => {
        const socket = await openSocket(agent);
        socket.resume().write(bytes);
        return socket;
      }),
    );
    await until('all are cut off', () => descriptorsOf(front) <= before);
    for (const socket of sockets) socket.destroy();
  });

  test('connections without end, and without a word, cost little and keep nobody out', async () => {
    const front = agent.part('front');
    assert.ok(front !== undefined);
    const before = residentBytes(front);
    const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(agent)));
    assert.equal((await refusalOf(agent, { audience: 'elsewhere.example' })).failure, 'misdirected');
    assert.ok(residentBytes(front) - before < 32 * 1024 * 1024);
    for (const socket of sockets) socket.destroy();
  });
});

suite('a half-open connection', () => {
  let agent: TestAgent;
  before(async () => (agent = await startAgent()));
  after(() => agent.close());

  test('is closed: without a request, within half a request, without start', async () => {
    const silent = await openSocket(agent);
    const half = await openSocket(agent);
    half.write('GET /v1/run HTTP/1.1\r\nHost: a\r\n');
    const call = await dial(agent);
    const begun = performance.now();
    const ends = [silent, half].map((socket) => new Promise((resolve) => socket.once('end', resolve).resume()));
    await soon('the close of three connections', Promise.all([...ends, call.closed]));
    assert.ok(performance.now() - begun > 9000, 'not before its time');
    assert.deepEqual(
      call.messages.filter(({ type }) => type !== 'tick'),
      [],
    );
    silent.destroy();
    half.destroy();
  });
});

suite('an address from which attempts fail again and again', () => {
  let agent: TestAgent;
  before(async () => (agent = await startAgent()));
  after(() => agent.close());

  test('is slowed down, also with a right key', async () => {
    const failures: (string | undefined)[] = [];
    while (failures.at(-1) !== 'slow-down' && failures.length < 40) failures.push((await refusalOf(agent, { key: STRANGER })).failure);
    assert.equal(failures.at(-1), 'slow-down');
    assert.ok(failures.length > 10, 'a person who mistypes is forgiven');
    assert.equal((await refusalOf(agent)).status, 429);
  });
});
