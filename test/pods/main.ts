/**
 * The matrix: every pod with every case, every proxy with every case, then the tables. run.sh starts it in a sandbox.
 * PODS and PROXIES, if set, name the columns that are wanted, separated by spaces. BASHES is the folder that bashes.sh filled.
 */
import { CASES } from './cases.ts';
import { CUT_CASES } from './cuts.ts';
import { END_CASES } from './ends.ts';
import { openNetwork } from './network.ts';
import { podPlans, richPlan } from './plans.ts';
import { makePod, type Pod, type PodPlan } from './pod.ts';
import { PROXIES, type ProxyPlan } from './proxies.ts';
import { LONG_CASE, PROXY_CASES, runThrough, type ProxyCase } from './proxy-cases.ts';
import { findProgram, missingPrograms } from './roots.ts';
import { Table, type Counts } from './table.ts';
import { VANISHING, VANISH_CASES } from './vanish.ts';
import { WAY_CASES } from './ways.ts';
import { World } from './world.ts';

const POD_CASES = [...CASES, ...WAY_CASES, ...END_CASES, ...CUT_CASES];

interface ProxyColumn {
  name: string;
  proxy: ProxyPlan;
  pod: Pod;
}

await openNetwork();
const world = await World.open();
const plans = podPlans(world.agent.certificate, process.env.BASHES ?? '');
const pods = new Table('the stub in pods', namesOf(POD_CASES), namesOf(plans));
const proxies = new Table('the stub behind proxies', namesOf([...PROXY_CASES, LONG_CASE]), PROXIES.flatMap(columnNames));
const vanished = new Table(
  'the machine of the pod vanishes',
  namesOf(VANISH_CASES),
  VANISHING.map(([name]) => `vanish/${name}`),
);
const end = new Table('in the end', ['scripts started as often as told', 'nothing left running'], ['agent']);
try {
  const columns = await proxyColumns();
  const inBackground = Promise.all([...columns.map((column) => runProxyCase(LONG_CASE, column)), ...VANISHING.map(runVanishing)]);
  for (const plan of plans) await runPod(plan);
  for (const column of columns) for (const proxyCase of PROXY_CASES) await runProxyCase(proxyCase, column);
  await inBackground;
  await end.run('scripts started as often as told', 'agent', () => Promise.resolve(`${world.audit()} calls`));
} finally {
  await end.run('nothing left running', 'agent', async () => {
    await world.close();
    return '';
  });
}
report();

async function runPod(plan: PodPlan): Promise<void> {
  if (!isWanted(process.env.PODS, plan.name)) return;
  const missing = missingPrograms(plan);
  if (missing.length > 0) {
    pods.skip(plan.name, `${missing.join(', ')} not installed`);
    return;
  }
  const pod = await makePod(plan, world);
  for (const { name, applies, run } of POD_CASES) {
    if (applies?.(pod) === false) pods.leaveOut(name, plan.name);
    else await pods.run(name, plan.name, () => run(pod, world));
  }
}

/** A pod for each case: it loses its machine. */
async function runVanishing([name, transport]: (typeof VANISHING)[number]): Promise<void> {
  const column = `vanish/${name}`;
  if (!isWanted(process.env.PODS, column)) return;
  const plan = richPlan(column, transport, world.agent.certificate);
  await Promise.all(
    VANISH_CASES.map(({ name: row, run }) => vanished.run(row, column, async () => run(await makePod(plan, world), world))),
  );
}

/** Each proxy with each transport that does TLS. */
async function proxyColumns(): Promise<ProxyColumn[]> {
  const [openssl, curl] = [
    richPlan('behind-openssl', 'openssl', world.agent.certificate),
    richPlan('behind-curl', 'curl', world.agent.certificate),
  ];
  const callers = [await makePod(openssl, world), await makePod(curl, world)];
  return PROXIES.flatMap((proxy) => {
    const columns = callers.map((pod) => ({ name: `${proxy.name}/${pod.plan.transport}`, proxy, pod }));
    const wanted = columns.filter(({ name }) => isWanted(process.env.PROXIES, name));
    if (findProgram(proxy.program) !== undefined) return wanted;
    for (const { name } of wanted) proxies.skip(name, `${proxy.program} is not installed (Debian: apt-get install ${proxy.program})`);
    return [];
  });
}

async function runProxyCase(proxyCase: ProxyCase, { name, proxy, pod }: ProxyColumn): Promise<void> {
  await proxies.run(proxyCase.name, name, () => runThrough(proxy, proxyCase, { pod, world }));
}

function columnNames({ name }: ProxyPlan): string[] {
  return [`${name}/openssl`, `${name}/curl`];
}

function namesOf(things: { name: string }[]): string[] {
  return things.map(({ name }) => name);
}

function isWanted(wanted: string | undefined, column: string): boolean {
  return wanted === undefined || wanted.split(' ').includes(column);
}

function report(): void {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const table of [pods, proxies, vanished, end]) {
    table.print();
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += table.counts[key];
  }
  if (world.remarks.length > 0) console.log(`\n${world.remarks.join('\n')}`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed + total.skipped === 0 && total.passed > 0 ? 0 : 1;
}
