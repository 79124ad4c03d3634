/** `require-approval`: what nobody has approved does not run. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, suite, test } from 'node:test';
import { z } from 'zod';
import { exitCodeOf } from '../../protocol/failures.ts';
import { assertRefused, assertCalled, makeStub, type Stub } from '../e2e/stubs.ts';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { dial, invoke, startMessage } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const Approved = z.object({
  name: z.string(),
  state: z.string(),
  was: z.object({ sha256: z.string() }).nullable(),
  is: z.object({ sha256: z.string(), by: z.string() }),
});
const Listed = z.object({
  name: z.string(),
  sha256: z.string(),
  problem: z.object({ code: z.string() }).optional(),
  approval: z.looseObject({ state: z.string() }).optional(),
});

suite('a script that needs approval', () => {
  let agent: TestAgent;
  let stub: Stub;
  const file = (name: string): string => path.join(agent.dir, name);
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

  before(async () => {
    agent = await startAgent({ settings: { 'require-approval': true } });
    stub = await makeStub(agent);
  });
  after(() => agent.close());
  beforeEach(() => {
    rmSync(file('approvals.json'), { force: true });
  });

  async function approve(...args: string[]): Promise<z.output<typeof Approved>[]> {
    const { code, stdout, stderr } = await agent.command(['scripts', 'approve'], ['--json', ...args]);
    assert.equal(code, 0, stderr);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => Approved.parse(JSON.parse(line)));
  }

  async function refusal(script: string): Promise<string> {
    const { terminal } = await invoke(agent, { script });
    assert.deepEqual([terminal.outcome, terminal.code], ['refused', exitCodeOf('unapproved-script')]);
    return terminal.message;
  }

  test('does not run while it is new; the line at the call says what to do, and that is enough', async () => {
    agent.script('new.sh', '#!/bin/sh\necho run\n');
    const refused = await stub.call(['new']);
    assertRefused(refused, 126);
    const command = /mediator-agent scripts approve (\S+)/.exec(refused.stderr)?.[1];
    assert.equal(command, 'new.sh');
    const { code, stdout } = await agent.command(['scripts', 'approve'], [command]);
    assert.equal(code, 0);
    assert.match(stdout, /^new\.sh +new /m);
    assertCalled(await stub.call(['new']), { stdout: 'run\n' });
  });

  test('does not run any more once it, its manifest or its interpreter has changed', async () => {
    const source = '#!/bin/sh\necho run\n';
    agent.script('changes.sh', source);
    await approve('changes');
    assert.equal((await invoke(agent, { script: 'changes' })).terminal.code, 0);
    agent.script('changes.sh', '#!/bin/sh\necho evil\n');
    assert.match(await refusal('changes'), /^changes\.sh has changed since/);
    agent.script('changes.sh', source, { manifest: 'timeout: 1s\n' });
    assert.match(await refusal('changes'), /^the manifest of changes\.sh has changed since/);
    await approve('changes');
    agent.script('changes.sh', source, { manifest: 'interpreter: [/bin/cat]\n' });
    assert.match(await refusal('changes'), /^the manifest of changes\.sh/);
    rmSync(path.join(agent.scripts, 'changes.yaml'));
    assert.match(await refusal('changes'), /^the manifest of changes\.sh/);
  });

  test('runs again as soon as it is what was approved', async () => {
    const source = '#!/bin/sh\necho run\n';
    agent.script('back.sh', source);
    await approve('back');
    agent.script('back.sh', '#!/bin/sh\n');
    await refusal('back');
    agent.script('back.sh', source);
    assert.equal((await invoke(agent, { script: 'back' })).terminal.code, 0);
  });

  test('is shown with what was approved, when and by whom, and what it is now', async () => {
    const [was, is] = ['#!/bin/sh\n', '#!/bin/sh\nexit 0\n'];
    agent.script('shown.sh', was);
    const [first] = await approve('shown.sh');
    assert.deepEqual([first?.name, first?.state, first?.was], ['shown.sh', 'new', null]);
    assert.equal(first?.is.sha256, sha256(was));
    agent.script('shown.sh', is);
    const { code, stdout } = await agent.command(['scripts', 'show'], ['shown', '--json']);
    const listed = Listed.parse(JSON.parse(stdout));
    assert.equal(code, 1);
    assert.equal(listed.problem?.code, 'unapproved-script');
    assert.equal(listed.sha256, sha256(is));
    assert.deepEqual(
      { ...listed.approval, at: '' },
      { state: 'changed', sha256: sha256(was), manifest_sha256: '', at: '', by: first.is.by },
    );
    assert.match((await agent.command(['scripts', 'list'])).stdout, /^shown\.sh +unapproved-script +[0-9a-f]{12} /m);
    assert.match(
      (await agent.command(['scripts', 'show'], ['shown'])).stdout,
      new RegExp(`^approved was: +${sha256(was)}, manifest none$`, 'm'),
    );
    const checked = await agent.command(['check'], ['--json']);
    assert.equal(checked.code, 1);
    assert.match(checked.stdout, /"state":"fail","about":"shown\.sh","message":"has changed since/);
    const second = (await approve('--all')).find(({ name }) => name === 'shown.sh');
    assert.deepEqual([second?.state, second?.was?.sha256, second?.is.sha256], ['changed', sha256(was), sha256(is)]);
  });

  test('is approved only as it was looked at, with --sha256', async () => {
    agent.script('looked.sh', '#!/bin/sh\n');
    const mistyped = await agent.command(['scripts', 'approve'], ['lookd']);
    assert.equal(mistyped.code, 127);
    assert.match(mistyped.stderr, /^mediator-agent: no script answers to "lookd"; .*; did you mean looked\?\n$/);
    const refused = await agent.command(['scripts', 'approve'], ['looked', '--sha256', sha256('something else')]);
    assert.equal(refused.code, 64);
    assert.match(refused.stderr, /nothing was approved/);
    await refusal('looked');
    await approve('looked', '--sha256', sha256('#!/bin/sh\n').slice(0, 12));
    assert.equal((await invoke(agent, { script: 'looked' })).terminal.code, 0);
  });

  test('and cannot run for another reason is not approved by --all, which says so', async () => {
    agent.script('broken.sh', '#!/bin/sh\n', { manifest: 'timeout: soon\n' });
    agent.script('fine.sh', '#!/bin/sh\n');
    const { code, stdout, stderr } = await agent.command(['scripts', 'approve'], ['--all']);
    rmSync(path.join(agent.scripts, 'broken.yaml'));
    assert.equal(code, 1);
    assert.match(stderr, /not approved: broken\.sh: .*broken\.yaml:1: timeout/);
    assert.match(stdout, /^fine\.sh +new /m);
    await refusal('broken');
  });

  test('does not run where the file of approvals is damaged, or others may write it', async () => {
    agent.script('careful.sh', '#!/bin/sh\n');
    await approve('careful');
    chmodSync(file('approvals.json'), 0o666);
    assert.match((await invoke(agent, { script: 'careful' })).terminal.message, /approvals\.json is writable by others .*chmod go-w/);
    chmodSync(file('approvals.json'), 0o644);
    assert.equal((await invoke(agent, { script: 'careful' })).terminal.code, 0);
    writeFileSync(file('approvals.json'), '{"scripts":');
    assert.match(await refusal('careful'), /approvals\.json cannot be read, so that nothing is approved/);
  });

  test('that was changed while its run waited for a slot is not started', async () => {
    const gate = `#!/bin/sh\necho begun >>${file('begun')}\nuntil [ -e ${file('go')} ]; do sleep 0.02; done\n`;
    agent.script('gate.sh', gate, { manifest: 'concurrency: 1\n' });
    writeFileSync(path.join(agent.scripts, '.new'), `${gate}echo evil >>${file('begun')}\n`, { mode: 0o755 });
    await approve('gate');
    const calls = await Promise.all([callGate(agent), callGate(agent)]);
    await until('the first run goes on', () => existsSync(file('begun')));
    renameSync(path.join(agent.scripts, '.new'), path.join(agent.scripts, 'gate.sh'));
    writeFileSync(file('go'), '');
    const ends = await Promise.all(calls.map((call) => call.terminal()));
    assert.deepEqual(ends.map(({ outcome, code }) => [outcome, code]).sort(), [
      ['exited', 0],
      ['refused', 126],
    ]);
    assert.equal(readFileSync(file('begun'), 'utf8'), 'begun\n');
  });
});

suite('without approvals', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
  });
  after(() => agent.close());

  test('a script that was changed while its run waited runs as it is now, and the run has the hash of that', async () => {
    const file = (name: string): string => path.join(agent.dir, name);
    agent.script('gate.sh', `#!/bin/sh\ntouch ${file('begun')}\nuntil [ -e ${file('go')} ]; do sleep 0.02; done\n`, {
      manifest: 'concurrency: 1\n',
    });
    const calls = await Promise.all([callGate(agent), callGate(agent)]);
    await until('the first run goes on', () => existsSync(file('begun')));
    const now = '#!/bin/sh\necho changed\n';
    writeFileSync(path.join(agent.scripts, '.new'), now, { mode: 0o755 });
    renameSync(path.join(agent.scripts, '.new'), path.join(agent.scripts, 'gate.sh'));
    writeFileSync(path.join(agent.scripts, 'gate.yaml'), 'concurrency: 1\ntimeout: 50s\n');
    writeFileSync(file('go'), '');
    await Promise.all(calls.map((call) => call.terminal()));
    assert.deepEqual(calls.map(({ stdout }) => stdout.toString()).sort(), ['', 'changed\n']);
    const shown = await Promise.all((await agent.runs('script=gate.sh')).map(({ id }) => agent.run(id)));
    const changed = shown.find(({ stdout }) => stdout > 0);
    assert.equal(changed?.sha256, createHash('sha256').update(now).digest('hex'));
    assert.equal(new Set(shown.map(({ sha256 }) => sha256)).size, 2);
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
    assert.deepEqual(
      shown.map((run) => run.manifest_sha256).sort(),
      ['concurrency: 1\n', 'concurrency: 1\ntimeout: 50s\n'].map(sha256).sort(),
    );
    assert.equal(changed.manifest_sha256, sha256('concurrency: 1\ntimeout: 50s\n'));
  });

  test('a reload begins to demand them, and a run that goes on is not touched', async () => {
    agent.script('later.sh', '#!/bin/sh\n');
    assert.equal((await invoke(agent, { script: 'later' })).terminal.code, 0);
    agent.configure({ 'require-approval': true });
    assert.deepEqual(await agent.reload(), ['reloaded', 'reloaded']);
    assert.equal((await invoke(agent, { script: 'later' })).terminal.code, 126);
  });
});

/** A call of gate.sh that was accepted. */
async function callGate(agent: TestAgent): Promise<Awaited<ReturnType<typeof dial>>> {
  const call = await dial(agent);
  call.send(startMessage({ script: 'gate' }));
  call.send({ type: 'end', stdin: 0 });
  await call.accepted();
  return call;
}
