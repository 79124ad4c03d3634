/** Numbers: their format, their bounds, and what a real agent exports. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { Bounded, Metrics, mergeMetrics } from '../../../agent/admin/metrics.ts';
import { startAgent, type TestAgent } from '../../helpers/agent.ts';
import { ROOT, runCommand, type Result } from '../../helpers/command.ts';
import { dial, invoke, startMessage } from '../../helpers/stub.ts';
import { until } from '../../helpers/wait.ts';

suite('the text format', () => {
  test('escapes what a label may hold, so that a script name cannot add a line', () => {
    const metrics = new Metrics();
    metrics.counter('a_total', 'A.')({ script: 'x"} 1\nevil 2\\' });
    assert.equal(metrics.render(), '# HELP a_total A.\n# TYPE a_total counter\na_total{script="x\\"} 1\\nevil 2\\\\"} 1\n');
  });
  test('counts a histogram cumulatively, with a bucket for what is beyond all bounds', () => {
    const metrics = new Metrics();
    const observe = metrics.histogram('s', 'S.', [1, 10]);
    for (const value of [0.5, 1, 2, 100]) observe({}, value);
    assert.equal(
      metrics.render(),
      '# HELP s S.\n# TYPE s histogram\ns_bucket{le="1"} 2\ns_bucket{le="10"} 3\ns_bucket{le="+Inf"} 4\ns_sum 103.5\ns_count 4\n',
    );
  });
  test('has a family once when two processes have it', () => {
    const of = (part: string): string => {
      const metrics = new Metrics();
      metrics.gauge('memory', 'M.', () => [[{ part }, 1]]);
      return metrics.render();
    };
    assert.equal(
      mergeMetrics([of('front'), of('runner')]),
      '# HELP memory M.\n# TYPE memory gauge\nmemory{part="front"} 1\nmemory{part="runner"} 1\n',
    );
  });
  test('gives a label that others choose a bounded number of values', () => {
    const names = new Bounded(2);
    assert.deepEqual(
      ['a', 'b', 'c', 'a', 'd'].map((name) => names.of(name)),
      ['a', 'b', 'other', 'a', 'other'],
    );
  });
});

suite('the numbers of an agent', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    agent.script('exit.sh', '#!/bin/bash\nexit $1\n');
  });
  after(() => agent.close());

  async function fetchText(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${agent.urls.http}${path}`, { headers, agent: false }, resolve).on('error', reject);
    });
    return { status: response.statusCode ?? 0, body: await text(response) };
  }
  const valueOf = (body: string, sample: string): number | undefined => {
    const line = body.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length + 1));
  };

  test('count runs by script and outcome, refusals by reason, and calls', async () => {
    assert.equal((await invoke(agent, { script: 'exit', args: ['0'] })).terminal.code, 0);
    assert.equal((await invoke(agent, { script: 'exit', args: ['3'] })).terminal.code, 3);
    assert.equal((await invoke(agent, { script: 'missing' })).terminal.outcome, 'refused');
    const wrong = await dial(agent, { key: { id: agent.key.id, secret: 'w'.repeat(43) } }).catch(() => undefined);
    assert.equal(wrong, undefined);
    const { body } = await fetchText('/metrics');
    assert.equal(valueOf(body, 'mediator_runs_total{script="exit.sh",outcome="exited",result="ok"}'), 1);
    assert.equal(valueOf(body, 'mediator_runs_total{script="exit.sh",outcome="exited",result="failed"}'), 1);
    assert.equal(valueOf(body, 'mediator_run_duration_seconds_count{script="exit.sh"}'), 2);
    assert.equal(valueOf(body, 'mediator_refusals_total{part="runner",reason="no-such-script"}'), 1);
    assert.equal(valueOf(body, 'mediator_refusals_total{part="front",reason="unauthorized"}'), 1);
    assert.equal(valueOf(body, 'mediator_calls_admitted_total{transport="websocket"}'), 3);
    assert.equal(valueOf(body, 'mediator_runner_up'), 1);
    for (const part of ['front', 'runner']) assert.ok((valueOf(body, `mediator_resident_memory_bytes{part="${part}"}`) ?? 0) > 1e6);
    const ends = valueOf(body, 'mediator_certificate_not_after_seconds') ?? 0;
    assert.ok(ends > Date.now() / 1000 + 1000 * 86_400 && ends < Date.now() / 1000 + 1096 * 86_400);
  });

  test('show a run that goes on', async () => {
    agent.script('wait.sh', `#!/bin/bash\nuntil [ -e ${agent.dir}/go ]; do sleep 0.05; done\n`);
    const call = await dial(agent);
    call.send(startMessage({ script: 'wait' }));
    call.send({ type: 'end', stdin: 0 });
    await call.accepted();
    await until('one run runs', async () => valueOf((await fetchText('/metrics')).body, 'mediator_runs_running') === 1);
    agent.script('open.sh', `#!/bin/bash\ntouch ${agent.dir}/go\n`);
    await invoke(agent, { script: 'open' });
    await call.terminal();
    await until('none runs', async () => valueOf((await fetchText('/metrics')).body, 'mediator_runs_running') === 0);
  });

  test('are refused to a page that had its name resolved to this machine', async () => {
    for (const host of ['evil.example', 'evil.example:9443', '127.0.0.1.evil.example', 'localhost@evil.example'])
      assert.equal((await fetchText('/metrics', { host })).status, 421, host);
    assert.equal((await fetchText('/metrics', { host: 'LOCALHOST:1' })).status, 200);
    assert.equal((await fetchText('/metrics', { host: '[::1]:9443' })).status, 200);
  });

  test('say that the runner is away, and that nothing is ready', async () => {
    assert.equal((await fetchText('/readyz')).status, 200);
    const runner = agent.part('runner');
    assert.ok(runner !== undefined);
    process.kill(agent.pid, 'SIGSTOP'); // so that nobody starts another runner
    process.kill(runner, 'SIGKILL');
    await until('the runner is missed', async () => (await fetchText('/readyz')).status === 503);
    assert.equal((await fetchText('/healthz')).status, 200);
    assert.equal(valueOf((await fetchText('/metrics')).body, 'mediator_runner_up'), 0);
    process.kill(agent.pid, 'SIGCONT');
    await until('the runner is back', async () => (await fetchText('/readyz')).status === 200);
  });

  test('are what the alerts, the dashboard and the documentation name', async () => {
    const { body } = await fetchText('/metrics');
    const exported = new Set([...body.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
    const folder = path.join(ROOT, 'systemd/monitoring');
    for (const file of ['alerts.yaml', 'dashboard.json', 'README.md']) {
      const named = [...readFileSync(path.join(folder, file), 'utf8').matchAll(/\bmediator_[a-z_]+[a-z]/g)].map(([name]) =>
        name.replace(/_bucket$/, ''),
      );
      assert.ok(named.length > 10, file);
      assert.deepEqual(
        named.filter((name) => !exported.has(name)),
        [],
        file,
      );
    }
    const documented = readFileSync(path.join(folder, 'README.md'), 'utf8').replace(
      '`mediator_runs_queued`, and both with `_limit`',
      '`mediator_runs_queued` `mediator_runs_running_limit` `mediator_runs_queued_limit`',
    );
    assert.deepEqual(
      [...exported].filter((name) => !documented.includes(`\`${name ?? ''}\``)),
      [],
      'missing in README.md',
    );
  });

  test('are what promtool takes', async (context) => {
    const { body } = await fetchText('/metrics');
    const checked = await promtool(['check', 'metrics'], body);
    if (checked === undefined) {
      context.skip('promtool is not installed (Debian: apt-get install prometheus)');
      return;
    }
    assert.deepEqual(checked, { code: 0, stdout: '', stderr: '' });
  });
});

suite('the alerts', () => {
  test('fire when they should, and not for an agent that is well', async (context) => {
    const result = await promtool(['test', 'rules', path.join(ROOT, 'test/monitoring/alerts.yaml')]);
    if (result === undefined) context.skip('promtool is not installed (Debian: apt-get install prometheus)');
    else assert.equal(result.code, 0, result.stdout + result.stderr);
  });
});

suite('the dashboard', () => {
  test('has a query in every panel, and no two panels on one place', () => {
    const Panel = z.looseObject({
      title: z.string(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.looseObject({ expr: z.string().min(1) })).min(1),
    });
    const file = path.join(ROOT, 'systemd/monitoring/dashboard.json');
    const { panels } = z.looseObject({ panels: z.array(Panel).min(10) }).parse(JSON.parse(readFileSync(file, 'utf8')));
    const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    assert.equal(new Set(places).size, places.length);
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  });
});

async function promtool(args: string[], stdin = ''): Promise<Result | undefined> {
  try {
    return await runCommand('promtool', args, { stdin });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
