/** HUP under load: the certificate is renewed, agent.yaml changes, and some of it is broken. Neither calls nor streams notice. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { runCommand } from '../helpers/command.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { childrenOf, commandOf } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { underLoad, type Caller, type Load } from './load.ts';
import { assertCalled, makeStub, type Stub, type StubProcess } from './stubs.ts';

const TRANSPORTS = ['openssl', 'curl'] as const;
/** Serial numbers of certificates. */
const [FIRST, SECOND, THIRD] = ['A1', 'A2', 'A3'] as const;

suite('a reload under load', () => {
  const authority = temporaryFolder({ after });
  const ca = path.join(authority, 'ca.pem');
  let agent: TestAgent;
  let stub: Stub;
  let service: ServiceManager;
  before(async () => {
    service = await ServiceManager.listen(path.join(authority, 'notify'));
    agent = await prepareAgent({ env: { MEDIATOR_NOTIFY_FIFO: service.fifo } });
    rmSync(path.join(agent.dir, 'tls'), { recursive: true });
    await openssl('req', '-x509', ...NEW_KEY, '-subj', '/CN=authority', '-keyout', path.join(authority, 'ca.key'), '-out', ca);
    for (const serial of [FIRST, SECOND, THIRD]) await issue(serial);
    point(FIRST);
    await agent.start();
    stub = await makeStub(agent);
    agent.script('answer.sh', '#!/bin/bash\nprintf "%s|" "$1"\ncat\necho "err $1$SCW_OTHER" >&2\nexit "$1"\n');
    agent.script('stream.sh', '#!/bin/bash\nuntil [[ -e $1 ]]; do\n  echo "line $((line += 1))"\n  sleep 0.02\ndone\necho "$line lines"\n');
  });
  after(async () => {
    await agent.close();
    service.close();
  });

  /** A certificate of the authority, in a folder of its own, as certbot keeps them. */
  async function issue(serial: string): Promise<void> {
    const folder = path.join(agent.dir, `tls-${serial}`);
    const file = (name: string): string => path.join(folder, name);
    mkdirSync(folder);
    writeFileSync(file('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n');
    await openssl('req', '-new', ...NEW_KEY, '-subj', '/CN=localhost', '-keyout', file('key.pem'), '-out', file('request.pem'));
    const signer = ['-CA', ca, '-CAkey', path.join(authority, 'ca.key'), '-set_serial', `0x${serial}`, '-days', '365'];
    await openssl('x509', '-req', '-in', file('request.pem'), ...signer, '-extfile', file('extensions'), '-out', file('cert.pem'));
  }
  /** The folder that agent.yaml names becomes another one in one step. */
  function point(serial: string): void {
    symlinkSync(`tls-${serial}`, path.join(agent.dir, 'tls.new'));
    renameSync(path.join(agent.dir, 'tls.new'), path.join(agent.dir, 'tls'));
  }
  const at = (name: string): string => path.join(agent.dir, 'tls', name);
  const issued = (serial: string, name: string): string => path.join(agent.dir, `tls-${serial}`, name);
  const environment = (transport: string): Record<string, string> => ({ MEDIATOR_TRANSPORT: transport, MEDIATOR_CA: ca });

  /** Two by each transport, which check everything that they get. @param values what SCW_OTHER may be for the script at this moment */
  function callers(values = (): string[] => ['!']): Caller[] {
    return [...TRANSPORTS, ...TRANSPORTS].map((transport) => async (turn) => {
      const code = turn % 3;
      const first = values();
      const env = { ...environment(transport), SCW_OTHER: '!' };
      const called = await stub.call(['answer', String(code)], { stdin: `turn ${turn}`, env });
      const other = called.stderr.trimEnd().slice('err 0'.length);
      assert.ok([...first, ...values()].includes(other), called.stderr);
      assertCalled(called, { stdout: `${code}|turn ${turn}`, stderr: `err ${code}${other}\n`, code });
    });
  }

  /** Acts while callers call and one stream by each transport goes on, which must be the same stream over the same connection at the end. */
  async function withStreams(calls: Caller[], act: (load: Load) => Promise<void>): Promise<void> {
    const end = path.join(agent.dir, 'end');
    const streams = TRANSPORTS.map((transport) => new Stream(stub.start(['stream', end], { env: environment(transport) }), transport));
    try {
      for (const stream of streams) await stream.goesOn();
      await underLoad(calls, async (load) => {
        await act(load);
        for (const stream of streams) await stream.goesOn();
      });
    } finally {
      writeFileSync(end, '');
    }
    for (const stream of streams) await stream.assertWhole();
    rmSync(end);
  }

  async function assertShown(serial: string): Promise<void> {
    const { host } = new URL(agent.urls.wss);
    const { stdout, stderr } = await runCommand('openssl', ['s_client', '-connect', host, '-CAfile', ca, '-verify_return_error']);
    const [pem] = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(stdout) ?? [];
    assert.ok(pem !== undefined, stderr);
    assert.equal(new X509Certificate(pem).serialNumber, serial);
  }
  async function assertTaken(load: Load): Promise<void> {
    assert.deepEqual(await load.across(() => agent.reload()), ['reloaded', 'reloaded']);
  }
  /** By one part or both: in the log, to the service manager, and to who asks `check` first. */
  async function assertRefused(load: Load, reason: RegExp, parts: 1 | 2): Promise<void> {
    const told = service.refusals.length;
    const said = await load.across(() => agent.reload());
    assert.equal(said.filter((line) => reason.test(line)).length, parts, said.join('\n'));
    await until('the service manager is told', () => service.refusals.length === told + parts);
    for (const refusal of service.refusals.slice(told)) assert.match(refusal, reason);
    assert.notEqual((await agent.command(['check'])).code, 0);
  }

  test('a certificate that is renewed in one step is shown from then on', async () => {
    await withStreams(callers(), async (load) => {
      await assertShown(FIRST);
      point(SECOND);
      await assertTaken(load);
      await assertShown(SECOND);
    });
  });

  test('a certificate that does not fit its key yet is not taken, and is once the key has come', async () => {
    await withStreams(callers(), async (load) => {
      copyFileSync(issued(THIRD, 'cert.pem'), at('cert.pem'));
      await assertRefused(load, /cert\.pem and its key .*key\.pem cannot be used: .*key values mismatch/, 1);
      await assertShown(SECOND);
      copyFileSync(issued(THIRD, 'key.pem'), at('key.pem'));
      await assertTaken(load);
      await assertShown(THIRD);
    });
  });

  test('a broken certificate changes nothing', async () => {
    const good = readFileSync(at('cert.pem'));
    await withStreams(callers(), async (load) => {
      writeFileSync(at('cert.pem'), good.subarray(0, good.length / 2));
      await assertRefused(load, /cert\.pem .*cannot be used/, 1);
      await assertShown(THIRD);
      writeFileSync(at('cert.pem'), good);
      await assertTaken(load);
      await assertShown(THIRD);
    });
  });

  test('a broken agent.yaml changes nothing, and a good one counts', async () => {
    const good = readFileSync(agent.config);
    let values = ['!'];
    const calls = callers(() => values);
    await withStreams(calls, async (load) => {
      agent.configure({ environment: ['SCW_EVENT'], colour: 'blue' });
      await assertRefused(load, /agent\.yaml:\d+: colour/, 2);
      writeFileSync(agent.config, good);
      agent.configure({ environment: ['SCW_EVENT'] });
      await load.across(async () => {
        values = ['!', ''];
        assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
        values = [''];
      });
    });
  });

  test('a longer drain counts for the time that the service manager gives', async () => {
    agent.configure({ drain: '1000s' });
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    assert.equal(await agent.stop(), 0);
    const time = await until('it is asked for', () => /\tEXTEND_TIMEOUT_USEC=(\d+)\n/.exec(service.heard)?.[1]);
    assert.ok(Number(time) > 1000e6, time);
  });
});

/** One that goes on until a file exists. */
class Stream {
  readonly #call: StubProcess;
  readonly #transport: string;
  #client: number | undefined;

  constructor(call: StubProcess, transport: string) {
    this.#call = call;
    this.#transport = transport;
  }

  /** Lines come, over the connection over which they came at first: a stub whose connection is cut resumes, by another process. */
  async goesOn(): Promise<void> {
    const { length } = this.#call.stdout;
    await until('more lines', () => {
      assert.ok(this.#call.running, `the stub ended:\n${this.#call.stderr}`);
      return this.#call.stdout.length > length;
    });
    const clients = childrenOf(this.#call.pid).filter((pid) => commandOf(pid).split(' ')[0]?.endsWith(this.#transport));
    assert.equal(clients.length, 1);
    this.#client ??= clients[0];
    assert.deepEqual(clients, [this.#client], 'the stub had to connect again');
  }

  async assertWhole(): Promise<void> {
    const called = await this.#call.end();
    const count = Number(/(\d+) lines\n$/.exec(called.stdout.toString())?.[1]);
    const lines = Array.from({ length: count }, (_, index) => `line ${index + 1}\n`);
    assertCalled(called, { stdout: `${lines.join('')}${count} lines\n` });
  }
}

/** In the place of systemd/notifying: what the parts would tell systemd. */
class ServiceManager {
  readonly fifo: string;
  readonly #reader: ChildProcess;
  heard = '';

  constructor(fifo: string) {
    this.fifo = fifo;
    this.#reader = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#reader.stdout?.setEncoding('utf8').on('data', (chunk: string) => (this.heard += chunk));
  }

  static async listen(fifo: string): Promise<ServiceManager> {
    const { code, stderr } = await runCommand('mkfifo', [fifo]);
    assert.equal(code, 0, stderr);
    return new ServiceManager(fifo);
  }

  /** Whole lines of a status that say why a reload failed. */
  get refusals(): string[] {
    return this.heard
      .split('\n')
      .slice(0, -1)
      .filter((line) => /^STATUS=.*; reload failed, the settings stay as they were: /.test(line));
  }

  close(): void {
    this.#reader.kill();
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await runCommand('openssl', args);
  assert.equal(code, 0, stderr);
}
