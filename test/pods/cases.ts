/** What every pod must be able to do with its stub. Each case returns what is worth telling of a success. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { BLACK_HOLE, CLOSED_PORT, HOST, HOST_NAME, OTHER_NAME } from './network.ts';
import type { CallOptions, Called, Pod } from './pod.ts';
import { bareRate } from './bare.ts';
import { openStranger, answerWithoutSecret, STRANGERS } from './strangers.ts';
import { Missing } from './table.ts';
import { BULK_SIZE, type World } from './world.ts';

export interface Case {
  name: string;
  applies?: (pod: Pod) => boolean;
  run: (pod: Pod, world: World) => Promise<string>;
}

/** What the stub says where a part of it does not exist yet. */
const NOT_BUILT = /is not built yet|needs openssl, which is not in this PATH|there is no option --doctor/;
/** Design: `output_bash_only`. */
const BARE_GOAL = 0.6;
const BARE_MOST = 10;

export const CASES: Case[] = [
  { name: 'small call', run: smallCall },
  { name: 'binary both ways', run: binaryBothWays },
  { name: '100 MiB out', run: bulkOut },
  { name: 'rate ÷ bare read -N', applies: ({ plan }) => plan.name.startsWith('bash'), run: rateAgainstBare },
  { name: 'agent absent', run: agentAbsent },
  { name: 'black-holed address', run: blackHole },
  { name: 'third of three agents', run: thirdAgent },
  { name: 'strangers on the port', run: strangers },
  { name: 'a proof without the secret', run: wrongProof },
  { name: 'wrong certificate', applies: speaksTls, run: wrongCertificate },
  { name: 'certificate by store, by file', applies: speaksTls, run: otherAnchors },
  { name: '--doctor', run: doctor },
];

/** Calls the stub of the pod; a stub that cannot do it yet is no failed assertion. */
export async function call(pod: Pod, args: string[], options: CallOptions = {}): Promise<Called> {
  const called = await pod.stub(args, options);
  const said = called.stdout.length < 10_000 ? `${called.stdout.toString()}${called.stderr}` : called.stderr;
  if ((called.code === 78 || called.code === 64) && NOT_BUILT.test(said)) throw new Missing(said.trim());
  return called;
}

/** How the pod writes an address. */
export function urlOf(pod: Pod, port: number, host = HOST): string {
  return `${speaksTls(pod) ? 'wss' : 'ws'}://${host}:${port}`;
}

export function speaksTls({ plan }: Pod): boolean {
  return plan.transport !== 'tcp';
}

async function smallCall(pod: Pod): Promise<string> {
  const args = ['two words', 'ünïcode', '', '"\\', 'a\nb'];
  const called = await call(pod, ['small', ...args], { stdin: '<ticket/>', env: { SCW_EVENT: 'CLOSE', UNRELATED: 'stays' } });
  assertCalled(called, { code: 7, stdout: `${args.map((arg) => `<${arg}>`).join('')}|CLOSE||<ticket/>`, stderr: 'warning\n' });
  return milliseconds(called);
}

/** All bytes, a run of NUL, noise: as much as GNU dd moves at once, or else as bash alone manages in a bearable time. */
async function binaryBothWays(pod: Pod): Promise<string> {
  const scale = pod.plan.programs.includes('dd') ? 12 : 1;
  const every = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  const stdin = Buffer.concat([
    every,
    every,
    Buffer.alloc(5000 * scale),
    Buffer.alloc(5000, '\n'),
    randomBytes(250_000 * scale),
    Buffer.alloc(1),
  ]);
  const called = await call(pod, ['mirror'], { stdin });
  assertCalled(called, { stdout: stdin });
  for (const odd of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(4096), Buffer.alloc(4097, 'x')]) {
    assertCalled(await call(pod, ['mirror'], { stdin: odd }), { stdout: odd });
  }
  return `${(stdin.length / 1e6).toFixed(1)} MB ${milliseconds(called)}`;
}

async function bulkOut(pod: Pod, world: World): Promise<string> {
  const called = await call(pod, ['bulk']);
  assertCalled(called, { stdout: world.bulk });
  return `${(called.time / 1000).toFixed(1)} s ${rateOf(called).toFixed(0)} MB/s`;
}

/** The machine is noisy: bare, stub, stub, bare, until the medians are good enough. */
async function rateAgainstBare(pod: Pod, world: World): Promise<string> {
  const bare: number[] = [];
  const stub: number[] = [];
  const measureStub = async (): Promise<unknown> => stub.push(rateOf(await call(pod, ['bulk'])));
  const measureBare = async (): Promise<unknown> => bare.push(await bareRate(pod, world.bulk));
  const ratio = (): number => median(stub) / median(bare);
  do for (const measure of [measureBare, measureStub, measureStub, measureBare]) await measure();
  while (ratio() < BARE_GOAL && bare.length < BARE_MOST);
  const text = `${median(stub).toFixed(1)} MB/s ÷ ${median(bare).toFixed(1)} MB/s = ${ratio().toFixed(2)} (medians of ${bare.length})`;
  world.remarks.push(`${pod.plan.name}: stub ÷ bare \`read -N\` loop: ${text}`);
  assert.ok(ratio() >= BARE_GOAL, text);
  return ratio().toFixed(2);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  return ((low ?? NaN) + (high ?? NaN)) / 2;
}

async function agentAbsent(pod: Pod): Promise<string> {
  const called = await call(pod, ['small'], { env: { MEDIATOR_URL: urlOf(pod, CLOSED_PORT) } });
  assertRefused(called, 69);
  assert.ok(called.time < 3000, `it took ${milliseconds(called)}`);
  return milliseconds(called);
}

async function blackHole(pod: Pod): Promise<string> {
  const called = await call(pod, ['small'], { env: { MEDIATOR_URL: urlOf(pod, 443, BLACK_HOLE), MEDIATOR_CONNECT_TIMEOUT: '2' } });
  assertRefused(called, 69);
  assert.ok(called.time > 1000 && called.time < 5000, `it took ${milliseconds(called)}, with a limit of 2 s`);
  return milliseconds(called);
}

async function thirdAgent(pod: Pod, world: World): Promise<string> {
  const { port } = world.door(speaksTls(pod) ? 'wss' : 'ws');
  const urls = [urlOf(pod, 443, BLACK_HOLE), urlOf(pod, CLOSED_PORT), urlOf(pod, port)];
  const called = await call(pod, ['small'], { env: { MEDIATOR_URL: urls.join(' '), MEDIATOR_CONNECT_TIMEOUT: '2' } });
  assertCalled(called, { code: 7, stdout: '<>|||', stderr: 'warning\n' });
  assert.ok(called.time < 6000, `it took ${milliseconds(called)}`);
  return milliseconds(called);
}

async function strangers(pod: Pod, world: World): Promise<string> {
  for (const [name, { code, answer }] of Object.entries(STRANGERS)) {
    const stranger = await openStranger(answer, speaksTls(pod) ? world.identity : undefined);
    const called = await call(pod, ['small'], {
      stdin: 'the ticket',
      env: { MEDIATOR_URL: urlOf(pod, stranger.port), MEDIATOR_CONNECT_TIMEOUT: '2' },
    }).finally(stranger.close);
    assertRefused(called, code, name);
    assert.equal(stranger.overheard(), 0, name);
    assert.ok(called.time < 8000, `${name}: it took ${milliseconds(called)}`);
  }
  return `${Object.keys(STRANGERS).length} kinds`;
}

async function wrongProof(pod: Pod, world: World): Promise<string> {
  const stranger = await openStranger(answerWithoutSecret, speaksTls(pod) ? world.identity : undefined);
  const called = await call(pod, ['small'], { stdin: 'the ticket', env: { MEDIATOR_URL: urlOf(pod, stranger.port) } }).finally(
    stranger.close,
  );
  assertRefused(called, 77);
  assert.equal(stranger.requests(), 1);
  assert.equal(stranger.overheard(), 0);
  return milliseconds(called);
}

/** For the right name, by somebody else; with the certificate of the agent pinned, and with the store of the pod. */
async function wrongCertificate(pod: Pod, world: World): Promise<string> {
  const stranger = await openStranger(answerWithoutSecret, world.otherIdentity);
  try {
    for (const stub of ['tls', 'store'] as const) {
      const called = await call(pod, ['small'], { stub, stdin: 'the ticket', env: { MEDIATOR_URL: urlOf(pod, stranger.port) } });
      assertRefused(called, 77, stub);
      assert.equal(stranger.requests(), 0, stub);
      assert.equal(stranger.overheard(), 0, stub);
    }
  } finally {
    stranger.close();
  }
  const { port } = world.door('wss');
  assertRefused(await call(pod, ['small'], { env: { MEDIATOR_URL: urlOf(pod, port, OTHER_NAME) } }), 77, 'another name');
  return 'nothing sent';
}

async function otherAnchors(pod: Pod, world: World): Promise<string> {
  const MEDIATOR_URL = urlOf(pod, world.door('wss').port, HOST_NAME);
  const wanted = { code: 7, stdout: '<>|||', stderr: 'warning\n' };
  assertCalled(await call(pod, ['small'], { stub: 'store', env: { MEDIATOR_URL } }), wanted);
  assertCalled(await call(pod, ['small'], { stub: 'store', env: { MEDIATOR_URL, MEDIATOR_CA: '/stub/authority.pem' } }), wanted);
  assertCalled(await call(pod, ['small'], { env: { MEDIATOR_URL } }), wanted);
  return '';
}

async function doctor(pod: Pod): Promise<string> {
  const healthy = await call(pod, ['--doctor']);
  assert.equal(healthy.code, 0, `${healthy.stdout.toString()}${healthy.stderr}`);
  const ill = await call(pod, ['--doctor'], { env: { MEDIATOR_URL: urlOf(pod, CLOSED_PORT) } });
  assert.equal(ill.code, 69, `${ill.stdout.toString()}${ill.stderr}`);
  return milliseconds(healthy);
}

export interface Wanted {
  code?: number;
  stdout?: string | Buffer;
  stderr?: string;
}

/** The script ran and printed this, and the stub added nothing. */
export function assertCalled(called: Called, { code = 0, stdout = '', stderr = '' }: Wanted, what = ''): void {
  const wanted = Buffer.from(stdout);
  assert.equal(called.stderr, stderr, `stderr ${what}: ${called.stderr}`);
  assert.equal(called.stdout.length, wanted.length, `bytes of stdout ${what}`);
  assert.equal(hash(called.stdout), hash(wanted), `hash of stdout ${what}: ${called.stdout.subarray(0, 200).toString()}`);
  assert.equal(called.code, code, `exit code ${what}`);
}

/** The stub said one line to the operator, and nothing to the host. */
export function assertRefused(called: Called, code: number, what = ''): void {
  const said = `${what} code ${called.code ?? 'none'}: ${called.stderr}`;
  assert.match(called.stderr, /^mediator: [^\n]+\n$/, said);
  assert.equal(called.code, code, said);
  assert.equal(called.stdout.length, 0, said);
}

function hash(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function rateOf({ time }: Called): number {
  return BULK_SIZE / 1e6 / (time / 1000);
}

function milliseconds({ time }: Called): string {
  return `${time.toFixed(0)} ms`;
}
