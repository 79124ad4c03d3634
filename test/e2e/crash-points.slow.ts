/** The agent dies at each named step of a run's life, once. Whatever the step, the script ran once or not at all, and everybody is told the truth. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { CRASH_POINTS, type CrashPoint } from '../../agent/process/crash-point.ts';
import { prepareAgent, type TestAgent } from '../helpers/agent.ts';
import { newFolder } from '../helpers/folder.ts';
import { commandOf, processesNaming } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { makeStubs, type Stub, type StubProcess } from './stubs.ts';

const SCRIPT = `#!/bin/bash
echo run >>"$1.ledger"
printf first
echo error >&2
until [[ -e $1.go ]]; do sleep 0.02; done
cat
exit 9
`;
/** The stub keeps it, and sends it again. */
const SHORT = 'x'.repeat(2000);
/** The stub does not, and asks what became of its call. */
const LONG = 'x'.repeat(5000);

interface Expected {
  outcome: string;
  /** The stub's exit code. */
  code: number;
  /** How often the script has run. */
  ran: number[];
}
const WHOLE: Expected = { outcome: 'exited', code: 9, ran: [1] };
const LOST: Expected = { outcome: 'lost', code: 125, ran: [1] };
const NEVER: Expected = { outcome: 'lost', code: 125, ran: [0] }; // it may have run, as far as anybody knows
const REFUSED: Expected = { outcome: 'refused', code: 75, ran: [0] };
const UNKNOWN: Expected = { outcome: 'none', code: 125, ran: [0] };

/** How a run comes to the point: by a call; by a call whose script may end at once; by the loss of the runner; by the end of the script while no runner is there. */
type Way = 'call' | 'end' | 'takeover' | 'alone';

const POINTS: Record<CrashPoint, [way: Way, ...expected: Expected[]]> = {
  'request-complete': ['call', WHOLE],
  'stdin-admitted': ['call', WHOLE],
  recorded: ['call', REFUSED],
  accepted: ['call', REFUSED, NEVER, WHOLE], // it starts while the disk is waited for
  announced: ['call', NEVER],
  ordered: ['call', WHOLE],
  'start-heard': ['call', WHOLE],
  'output-heard': ['call', WHOLE],
  'end-heard': ['end', WHOLE],
  settled: ['end', WHOLE],
  'record-sent': ['end', WHOLE],
  acknowledged: ['end', WHOLE],
  'kept-heard': ['takeover', WHOLE],
  adopted: ['takeover', WHOLE],
  'order-read': ['call', NEVER],
  spawned: ['call', { ...LOST, ran: [0, 1] }], // ended before its first line, perhaps
  'output-read': ['call', LOST],
  'output-kept': ['call', LOST],
  'exit-seen': ['end', LOST],
  'end-known': ['end', LOST],
  'end-unwritten': ['alone', LOST],
  'end-written': ['alone', WHOLE],
};

suite('the agent dies at a step of a run', () => {
  const folder = newFolder();
  const crashFile = path.join(folder, 'crash');
  let agent: TestAgent;
  let stubs: { wss: Stub; ws: Stub };

  before(async () => {
    const listen = { tls: ['127.0.0.1:0'], plaintext: ['127.0.0.1:0'] };
    agent = await prepareAgent({ settings: { listen, defaults: { grace: '200ms' } }, env: { MEDIATOR_CRASH_FILE: crashFile } });
    agent.script('step.sh', SCRIPT);
    await agent.start();
    stubs = await makeStubs(agent);
  });
  after(async () => {
    await agent.close();
    rmSync(folder, { recursive: true });
  });

  function crashAt(point: CrashPoint): void {
    writeFileSync(`${crashFile}.new`, point);
    renameSync(`${crashFile}.new`, crashFile);
  }

  const crashed = (): Promise<boolean> => until('the crash', () => !existsSync(crashFile));

  function pidOf(part: 'runner' | 'keeper'): number {
    const pid = agent.part(part);
    assert.ok(pid !== undefined, `there is no ${part}`);
    return pid;
  }

  /** Starts a call, and lets it come to the point in its way. */
  async function callTo(point: CrashPoint, way: Way, stub: Stub, base: string, stdin: string): Promise<StubProcess> {
    const go = (): void => writeFileSync(`${base}.go`, '');
    if (way === 'end') go();
    if (way === 'call' || way === 'end') crashAt(point);
    const call = stub.start(['step', base], { stdin });
    if (way === 'takeover' || way === 'alone') {
      await call.printed('first');
      if (way === 'alone') process.kill(agent.pid, 'SIGSTOP'); // so that nobody starts another runner
      crashAt(point);
      process.kill(pidOf('runner'), 'SIGKILL');
    }
    if (way !== 'alone') await crashed();
    go();
    await crashed();
    if (way === 'alone') process.kill(agent.pid, 'SIGCONT');
    return call;
  }

  async function dieAt(point: CrashPoint, [way, ...allowed]: [Way, ...Expected[]], stub: Stub, stdin: string): Promise<void> {
    const base = path.join(folder, `${point}-${stdin.length}`);
    const before = new Set((await agent.runs()).map(({ id }) => id));
    const call = await callTo(point, way, stub, base, stdin);
    const { code, stdout, stderr } = await call.end();
    await until('the agent has a runner again', isReady);
    const runs = await agent.runs();
    const fresh = runs.filter(({ id }) => !before.has(id));
    const ran = existsSync(`${base}.ledger`) ? readFileSync(`${base}.ledger`, 'utf8').split('run\n').length - 1 : 0;
    assert.ok(fresh.length <= 1);
    const outcome = fresh[0] === undefined ? 'none' : fresh[0].outcome;
    const expected = allowed.find((each) => each.outcome === outcome);
    assert.ok(expected, `the outcome is ${outcome ?? 'not there'}: ${fresh[0]?.message ?? ''}`);
    assert.equal(code, expected.code, stderr);
    assert.ok(expected.ran.includes(ran), `it ran ${ran} times`);
    if (expected === WHOLE) assert.deepEqual([stdout.toString(), stderr], [`first${stdin}`, 'error\n']);
    else assert.match(stderr, /^(error\n)?mediator: [^\n]+\n$/);
    assert.ok(`first${stdin}`.startsWith(stdout.toString()));
    for (const { id } of fresh) assert.deepEqual(processesNaming(id).map(commandOf), [], 'nothing is left running');
    assert.deepEqual(agent.incoming(), []);
    assert.deepEqual(runs.map(({ id }) => id).toSorted(), agent.spooled().toSorted(), 'every folder of the spool has its run');
  }

  const isReady = (): Promise<boolean> =>
    agent.api('/readyz').then(
      ({ status }) => status === 200,
      () => false,
    );

  for (const [index, point] of CRASH_POINTS.entries()) {
    const stubOf = (): Stub => (index % 2 === 0 ? stubs.ws : stubs.wss);
    test(`${point}: ${toText(POINTS[point])}`, () => dieAt(point, POINTS[point], stubOf(), SHORT));
  }
  for (const point of ['request-complete', 'stdin-admitted'] as const) {
    test(`${point}, with more stdin than the stub keeps: ${toText(['call', UNKNOWN])}`, () =>
      dieAt(point, ['call', UNKNOWN], stubs.wss, LONG));
  }
  test('and what is kept of all that is what was written', async () => {
    const verified = await agent.command(['runs', 'verify']);
    assert.equal(verified.code, 0, verified.stdout);
  });
});

function toText([, ...allowed]: [Way, ...Expected[]]): string {
  return allowed.map(({ outcome, code }) => `${outcome}, ${code}`).join('; or ');
}
