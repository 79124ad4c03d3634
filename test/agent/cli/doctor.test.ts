/** `doctor` beside a real agent, healthy and broken. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { freePort } from '../../e2e/ports.ts';
import { prepareAgent, startAgent, type AgentOptions, type TestAgent } from '../../helpers/agent.ts';
import { MAIN, mediatorAgent, runCommand } from '../../helpers/command.ts';

/** A user who has nothing of root's. */
const NOBODY = 65_534;

const Finding = z.strictObject({ state: z.enum(['ok', 'warn', 'fail']), about: z.string(), message: z.string() });

/** With ports that agent.yaml names: what is chosen at the start, another process cannot know. */
async function startOnPorts(options: AgentOptions = {}): Promise<TestAgent> {
  const [tls, plaintext, admin] = [await freePort(), await freePort(), await freePort()].map((port) => `127.0.0.1:${port}`);
  const listeners = { listen: { tls: [tls], plaintext: [plaintext] }, admin: { listen: admin } };
  const agent = await startAgent({ ...options, settings: { ...listeners, ...options.settings } });
  chmodSync(agent.state, 0o700); // as `init` makes it; a copy has other modes
  return agent;
}

async function findings(agent: TestAgent): Promise<{ code: number | null; found: z.output<typeof Finding>[] }> {
  const { code, stdout, stderr } = await agent.command(['doctor', '--json']);
  assert.equal(stderr, '');
  const lines = stdout.trimEnd().split('\n');
  return { code, found: lines.map((line) => Finding.parse(JSON.parse(line))) };
}

/** What is wrong, as `state about: message`. */
async function wrong(agent: TestAgent): Promise<string> {
  const { found } = await findings(agent);
  return found.flatMap(({ state, about, message }) => (state === 'ok' ? [] : [`${state} ${about}: ${message}`])).join('\n');
}

suite('doctor, where everything is well', () => {
  let agent: TestAgent;
  before(async () => (agent = await startOnPorts()));
  after(() => agent.close());

  test('has a line for each thing, and exits with 0', async () => {
    agent.script('hello.py', '#!/usr/bin/env python3\nprint(1)\n');
    const { code, stdout, stderr } = await agent.command(['doctor']);
    assert.equal(code, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /^(warn|FAIL)/m);
    for (const line of [
      /^ok {4}Node \d+\.\d+\.\d+: .*SQLite 3\./m,
      /^ok {4}.*agent\.yaml, keys, certificate$/m,
      /^ok {4}clock: 20/m,
      /^ok {4}hello\.py$/m,
      /^ok {4}interpreters: .*python3/m,
      /^ok {4}.*\/state: \d+ MiB free$/m,
      /^ok {4}.*journal\.db: whole, /m,
      /^ok {4}.*runner\.sock: the runner answers/m,
      /^ok {4}wss:\/\/127\.0\.0\.1:\d+: the front answers as localhost with its certificate, and takes the key stub-1/m,
      /^ok {4}ws:\/\/127\.0\.0\.1:\d+: the front answers as localhost, and takes the key stub-1/m,
      /^ok {4}http:\/\/127\.0\.0\.1:\d+\/readyz: the admin listener answers$/m,
      /^ok {4}units: /m,
      /^ok {4}front \(process \d+\): may open \d+ files/m,
      /^ok {4}runner \(process \d+\): may open \d+ files/m,
    ])
      assert.match(stdout, line);
  });
  test('prints one JSON object a line with --json', async () => {
    const { code, found } = await findings(agent);
    assert.equal(code, 0);
    assert.ok(found.length > 12 && found.every(({ state }) => state === 'ok'));
  });
  test('says what is to be installed or switched on where nothing synchronises the clock', async () => {
    const [folder, tool] = [path.join(agent.dir, 'tools'), path.join(agent.dir, 'tools/timedatectl')];
    mkdirSync(folder);
    const PATH = `${folder}:${process.env.PATH ?? ''}`;
    for (const [can, on, remedy] of [
      ['no', 'no', /^warn {2}clock: .*; install systemd-timesyncd or chrony/m],
      ['yes', 'no', /^warn {2}clock: .*; run: timedatectl set-ntp true$/m],
      ['yes', 'yes', /^warn {2}clock: .* reaches no server/m],
    ] as const) {
      writeFileSync(tool, `#!/bin/sh\necho NTPSynchronized=no; echo CanNTP=${can}; echo NTP=${on}\n`, { mode: 0o755 });
      assert.match((await agent.command(['doctor'], [], { env: { PATH } })).stdout, remedy);
    }
  });
  test('starts no run, and the log tells of no refusal', async () => {
    await findings(agent);
    assert.deepEqual(await agent.runs(), []);
    assert.ok(!agent.logSoFar().some(({ msg }) => msg === 'refused'));
  });
  test('is coloured on a terminal alone, and not with NO_COLOR', () => {
    const typed = `'${process.execPath}' '${MAIN}' check --config '${agent.config}'`;
    const shown = (environment: Record<string, string>): string =>
      execFileSync('script', ['-qec', typed, '/dev/null'], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, TERM: 'xterm', NODE_NO_WARNINGS: '1', ...environment },
      });
    assert.ok(shown({}).includes('\u001b[32mok'));
    assert.ok(!shown({ NO_COLOR: '1' }).includes('\u001b'));
  });
});

suite('doctor, where something is wrong', () => {
  let agent: TestAgent;
  const settings = { limits: { connections: 65_536, 'disk-free': '999999GiB' } };
  const through = ['bash', '-c', 'ulimit -n 1024 && exec "$@"', 'bash'];
  before(async () => (agent = await startOnPorts({ settings, through })));
  after(() => agent.close());

  test('says each thing and its remedy, and exits with 1', async () => {
    agent.script('lost.sh', '#!/opt/gone/python\n');
    chmodSync(agent.state, 0o755);
    chmodSync(path.join(agent.dir, 'tls/key.pem'), 0o644);
    assert.equal((await agent.command(['keys', 'create', 'old'], ['--expires', '2020-01-31'])).code, 0);
    assert.equal((await agent.command(['keys', 'create', 'soon'], ['--expires', '3d'])).code, 0);
    const said = await wrong(agent);
    for (const line of [
      /^fail lost\.sh: .*\/opt\/gone\/python.* install it/m,
      /^warn .*\/state: has mode 0755.* chmod o=/m,
      /^warn .*key\.pem: has mode 0644.* chmod 600/m,
      /^warn .*keys\.yaml: the key old expired on 2020-01-31; .*keys revoke old/m,
      /^warn .*keys\.yaml: the key soon expires on /m,
      /^fail .*\/state: \d+ MiB free, less than limits\.disk-free/m,
      /^warn front .*may open 1024 files.* LimitNOFILE/m,
    ])
      assert.match(said, line);
    assert.equal((await findings(agent)).code, 1);
  });
  test('finds that the certificate was renewed and not reloaded', async () => {
    const folder = path.join(agent.dir, 'renewed');
    assert.equal((await mediatorAgent(['init', '--dir', folder, '--name', 'localhost'])).code, 0);
    for (const file of ['tls/cert.pem', 'tls/key.pem']) copyFileSync(path.join(folder, file), path.join(agent.dir, file));
    const said = await wrong(agent);
    assert.match(said, /^fail .*cert\.pem: is not for "127\.0\.0\.1", which names in agent\.yaml has/m);
    assert.match(said, /^fail wss:.* what is served is not .*cert\.pem; .*reload/m);
  });
  test('finds keys that others may read, and a token that others may read', async () => {
    for (const file of ['keys.yaml', 'admin-token']) chmodSync(path.join(agent.dir, file), 0o644);
    const said = await wrong(agent);
    assert.match(said, /^fail .*keys\.yaml: has mode 0644.* chmod 600/m);
    assert.match(said, /^fail admin\.token-file: .*admin-token: has mode 0644.* chmod 600/m);
    for (const file of ['keys.yaml', 'admin-token']) chmodSync(path.join(agent.dir, file), 0o600);
  });
  test('shows every fault of agent.yaml, and goes on with what can be looked at without it', async () => {
    const good = readFileSync(agent.config, 'utf8');
    writeFileSync(agent.config, `${good}colour: red\nnames: 7\n`);
    const { code, found } = await findings(agent);
    writeFileSync(agent.config, good);
    assert.equal(code, 1);
    const said = found.map(({ state, about, message }) => `${state} ${about}: ${message}`).join('\n');
    const [first, lines] = [good.split('\n').findIndex((line) => line.startsWith('names:')) + 1, good.split('\n').length];
    for (const line of [
      new RegExp(`^fail .*agent\\.yaml:${lines}: colour: is not a known field`, 'm'),
      new RegExp(`^fail .*agent\\.yaml:\\d+: names: is 7, and must be a list`, 'm'),
      new RegExp(`^fail .*agent\\.yaml:${lines + 1}: names: stands twice, here and in line ${first}; remove one`, 'm'),
      /^ok Node /m,
      /^ok clock: /m,
      /^ok units: /m,
      /^warn the rest: was not looked at/m,
    ])
      assert.match(said, line);
  });
  test('finds that nothing runs, and a journal that is damaged', async () => {
    await agent.stop();
    const journal = path.join(agent.state, 'journal.db');
    const half = Math.floor(statSync(journal).size / 2);
    const whole = readFileSync(journal);
    const fd = openSync(journal, 'r+');
    writeSync(fd, Buffer.alloc(statSync(journal).size - half, 0xa5), 0, undefined, half);
    closeSync(fd);
    const said = await wrong(agent);
    writeFileSync(journal, whole);
    assert.match(said, /^fail .*journal\.db: .*(malformed|stop the agent)/m);
    for (const what of ['.*runner\\.sock', 'wss:', 'ws:', 'http:']) assert.match(said, new RegExp(`^fail ${what}`, 'm'));
  });
});

suite('doctor, beside a unit whose last reload has failed', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await prepareAgent();
    const status = 'wss://here; reload failed, the settings stay as they were: keys.yaml:3: keys.0.id: is not an id';
    const shown = `LoadState=loaded\nActiveState=active\nStatusText=${status}\nExecStart={ argv[]=node front --config ${agent.config} ; }`;
    mkdirSync(path.join(agent.dir, 'tools'));
    writeFileSync(path.join(agent.dir, 'tools/systemctl'), `#!/bin/bash\necho '${shown}'\n`, { mode: 0o755 });
  });
  after(() => agent.close());

  async function saidOf(unit: string): Promise<string> {
    const PATH = `${agent.dir}/tools:${process.env.PATH ?? ''}`;
    const { stdout } = await agent.command(['doctor'], [], { env: { PATH } });
    return stdout.split('\n').find((line) => line.includes(` ${unit}: `)) ?? '';
  }

  test('says why as long as the files have a fault, and then that a reload will do: the unit itself does not forget', async () => {
    for (const [file, text] of [
      ['keys.yaml', 'keys: [x]\n'],
      ['agent.yaml', 'names: []\n'],
    ] as const) {
      const whole = readFileSync(path.join(agent.dir, file));
      writeFileSync(path.join(agent.dir, file), text);
      assert.match(await saidOf('mediator-front'), /^FAIL {2}mediator-front: .*reload failed, .* is not an id$/);
      writeFileSync(path.join(agent.dir, file), whole);
    }
    const said = await saidOf('mediator-front');
    assert.match(said, /^warn {2}mediator-front: .*is not an id\. The files have no fault by now; run: systemctl reload mediator-front, /);
  });
});

suite('doctor, beside a certificate that has expired', () => {
  let agent: TestAgent;
  before(async () => (agent = await startOnPorts({ settings: { names: ['localhost'] } })));
  after(() => agent.close());

  test('says that it is to be renewed, and does not take what is served for another one that a reload would replace', async () => {
    const folder = path.join(agent.dir, 'tls');
    const helper = new URL('../../helpers/mediator-stub.bash', import.meta.url).pathname;
    execFileSync('bash', [
      '-c',
      'source "$1" && cd "$2" && cp key.pem a.key && expire a && mv expired.pem cert.pem',
      'bash',
      helper,
      folder,
    ]);
    await agent.reload();
    const said = await wrong(agent);
    assert.match(said, /^fail .*cert\.pem: expired on 2020-01-02; renew it, then make new stubs/m);
    assert.match(said, /^fail wss:.*: certificate has expired, as said of .*cert\.pem above; once it is renewed, run: .*reload/m);
    assert.doesNotMatch(said, /is not .*cert\.pem|if it was renewed/);
  });
});

suite('doctor and check by root', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let agent: TestAgent;
  before(async () => {
    agent = await prepareAgent();
    for (const folder of [path.dirname(agent.dir), agent.dir, agent.scripts]) chmodSync(folder, 0o755);
    chownSync(agent.state, NOBODY, NOBODY);
  });
  after(() => agent.close());

  /** What both say of the scripts folder, and the exit code of `check`. */
  async function said(): Promise<{ code: number | null; stdout: string }> {
    const [checked, examined] = [await agent.command(['check']), await agent.command(['doctor'])];
    const failures = checked.stdout.split('\n').filter((line) => line.startsWith('FAIL'));
    for (const line of failures) assert.ok(examined.stdout.includes(line), `doctor does not say: ${line}`);
    return checked;
  }

  test("find what the agent's user may not read: scripts, manifests, tasks and folders, all at once, with the command that helps", async () => {
    const hidden = [
      agent.script('secret.sh', 'echo 1', { mode: 0o700 }),
      agent.script('listed.sh', 'echo 2', { manifest: 'timeout: 3s\n' }).replace('.sh', '.yaml'),
      agent.script('close.task.yaml', 'name: x', { mode: 0o600 }),
      path.dirname(agent.script('closed/a.sh', 'echo 3')),
      path.dirname(agent.script('unsearched/b.sh', 'echo 4')),
    ];
    for (const [index, mode] of [0o700, 0o600, 0o600, 0o700, 0o744].entries()) chmodSync(hidden[index] ?? '', mode);
    agent.script('open.sh', 'echo 5');
    const { code, stdout } = await said();
    for (const file of hidden)
      assert.match(stdout, new RegExp(`^FAIL .*: the agent's user may not read .*; run: chmod a\\+rX '${file}'$`, 'm'));
    assert.match(stdout, /^ok {4}open\.sh$/m);
    assert.equal(code, 1);
  });
  test("find an interpreter that the agent's user may not execute", async () => {
    const interpreter = path.join(agent.dir, 'own-shell');
    copyFileSync('/bin/sh', interpreter);
    chmodSync(interpreter, 0o700);
    agent.script('special.sh', `#!${interpreter}\n`);
    const problem = `the interpreter of ${path.join(agent.scripts, 'special.sh')}, ${interpreter}, may not be executed by this user`;
    assert.ok((await said()).stdout.includes(`FAIL  special.sh: ${problem}; look at the mode of ${interpreter}\n`));
    chmodSync(interpreter, 0o755);
    assert.match((await said()).stdout, /^ok {4}special\.sh$/m);
  });
  test("find a secret that the agent's user may not read, or that is not there", async () => {
    const credentials = path.join(agent.dir, 'credentials');
    mkdirSync(credentials, { mode: 0o755 });
    agent.configure({ credentials });
    writeFileSync(path.join(credentials, 'API_TOKEN'), 'x'.repeat(40), { mode: 0o600 });
    agent.script('asks.sh', '#!/bin/sh\n', { manifest: 'secrets: [API_TOKEN]\n' });
    agent.script('misses.sh', '#!/bin/sh\n', { manifest: 'secrets: [OTHER_TOKEN]\n' });
    const { stdout } = await said();
    assert.match(
      stdout,
      /^FAIL {2}asks\.sh: the secret API_TOKEN, .*: it may not be read by the agent's user; let it, and nobody else, read .*API_TOKEN$/m,
    );
    assert.match(stdout, /^warn {2}misses\.sh: calls end with 126: the secret OTHER_TOKEN, .*: put it into .*OTHER_TOKEN$/m);
    chownSync(path.join(credentials, 'API_TOKEN'), NOBODY, NOBODY);
    assert.match((await said()).stdout, /^ok {4}asks\.sh$/m);
  });
  test("name the folder on the way to the scripts that the agent's user may not enter", async () => {
    chmodSync(agent.dir, 0o700);
    const { code, stdout } = await said();
    assert.match(stdout, new RegExp(`^FAIL .*scripts: the agent's user may not read .*; run: chmod a\\+rX '${agent.dir}'$`, 'm'));
    assert.equal(code, 1);
    chmodSync(agent.dir, 0o755);
  });
  test("see it with the groups of the agent's user, as install.sh sets it up, and take scripts of its own", async () => {
    rmSync(agent.scripts, { recursive: true });
    mkdirSync(agent.scripts);
    chownSync(agent.scripts, 0, NOBODY);
    chmodSync(agent.scripts, 0o750);
    chownSync(agent.script('group.sh', 'echo 1', { mode: 0o750 }), 0, NOBODY);
    chownSync(agent.script('own.sh', 'echo 1', { mode: 0o700 }), NOBODY, NOBODY);
    const { code, stdout } = await said();
    assert.equal(code, 0, stdout);
  });
});

suite('by a user who is neither root nor the agent', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    agent.script('hello.sh', 'echo hello\n');
    for (const folder of [path.dirname(agent.dir), agent.dir]) chmodSync(folder, 0o755);
    for (const folder of [agent.scripts, agent.state]) chmodSync(folder, 0o700);
    chmodSync(agent.config, 0o644);
  });
  after(() => agent.close());

  for (const [words, args, files] of [
    [['keys', 'list'], [], ['keys.yaml']],
    [['keys', 'create', 'x'], [], ['keys.yaml']],
    [['scripts', 'list'], [], ['state/runner.sock']],
    [['scripts', 'approve'], ['--all'], ['scripts']],
    [['scripts', 'approve'], ['hello'], ['scripts']],
    [['runs', 'list'], [], ['state/runner.sock']],
    [['runs', 'verify'], [], ['state/journal.db']],
    [['run'], ['hello'], ['state/runner.sock']],
    [['check'], [], ['keys.yaml', 'scripts']],
    [['doctor'], [], ['keys.yaml', 'scripts', 'state/journal.db', 'state/runner.sock']],
  ] as const) {
    test(`${[...words, ...args].join(' ')} says what may not be used, and to use sudo`, async () => {
      const as = ['--reuid=65533', '--regid=65533', '--clear-groups', process.execPath, MAIN];
      const { code, stdout, stderr } = await runCommand('setpriv', [...as, ...words, '--config', agent.config, ...args]);
      assert.notEqual(code, 0);
      const said = stdout + stderr;
      for (const file of files) assert.match(said, new RegExp(`${file}:? .*use sudo, or the user of the agent$`, 'm'));
      assert.doesNotMatch(said, /chmod|there is no journal|does not exist|no script answers|nothing answers|is the agent running/);
    });
  }
});
