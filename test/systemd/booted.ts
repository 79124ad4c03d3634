/**
 * The life of an installation, from the archive to its removal, on a bare Debian that systemd has booted; run.sh starts it there. The tests build on
 * each other, in this order.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { before, suite, test } from 'node:test';
import { isAlive } from '../helpers/processes.ts';
import { until } from '../helpers/wait.ts';
import { Call, PATIENCE, inSandbox, journal, must, pidOf, read, script, sh, show, startedAgain, stubFor } from './system.ts';

const NODE = '/shared/node/bin/node';
/** Below which each run has one, in a hybrid of cgroups version 1 and 2, and in version 2 alone. */
const GROUPS = '/sys/fs/cgroup/{unified/,}system.slice/mediator-runner.service/runs';
const PROBE = '/repository/test/systemd/probe.ts';
const UNITS = ['mediator-runner', 'mediator-front'] as const;
/** Prints for about three seconds. */
const SLOW = '#!/bin/bash\nfor i in {1..30}; do echo "line $i"; sleep 0.1; done\n';
const SLOW_OUTPUT = Array.from({ length: 30 }, (_, index) => `line ${index + 1}\n`).join('');

/** As install.sh leaves it. */
const ADMIN = 'http://127.0.0.1:9443';

let archive = '';
let unpacked = 0;
const install = (options = ''): ReturnType<typeof sh> => sh(`${archive}/install.sh ${options}`);

const runOf = (line: string): { id: string } => {
  const run: unknown = JSON.parse(line);
  assert.ok(typeof run === 'object' && run !== null && 'id' in run && typeof run.id === 'string');
  return { id: run.id };
};

suite('install.sh', () => {
  before(async () => {
    unpacked = performance.now();
    await must('tar -xzf /shared/dist/mediator-agent-*.tar.gz -C /root');
    archive = await must('ls -d /root/mediator-agent-*');
  });

  test('says what to do where there is no Node, or only an old one', async () => {
    const none = await install();
    assert.equal(none.code, 69, none.stderr);
    assert.match(none.stderr, /Node 22\.22 or newer is needed; none was found\.\n.*--node/);
    writeFileSync('/root/old-node', '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 });
    const old = await install('--node /root/old-node');
    assert.equal(old.code, 69);
    assert.match(old.stderr, /old-node is v20\.20\.2/);
  });

  test('refuses files that are not those of the archive', async () => {
    const stub = read(`${archive}/mediator/mediator.sh`);
    writeFileSync(`${archive}/mediator/mediator.sh`, `${stub}# changed\n`);
    const { code, stderr } = await install(`--node ${NODE}`);
    assert.equal(code, 65, stderr);
    writeFileSync(`${archive}/mediator/mediator.sh`, stub);
  });

  test('changes nothing with --dry-run', async () => {
    const { code, stdout } = await install(`--node ${NODE} --name localhost --dry-run`);
    assert.equal(code, 0);
    assert.match(stdout, /^\+ systemctl restart mediator-front\.service$/m);
    for (const path of ['/etc/mediator', '/opt/mediator-agent', '/usr/local/bin/mediator-agent']) assert.ok(!existsSync(path), path);
    assert.equal((await sh('id mediator')).code, 1);
  });

  test('sets everything up, and starts it', async () => {
    const { code, stdout, stderr } = await install(`--node ${NODE} --name 127.0.0.1 --name localhost --listen 127.0.0.1:8443`);
    assert.equal(code, 0, stdout + stderr);
    for (const unit of UNITS) assert.equal(await show(unit, 'ActiveState'), 'active');
    assert.match(await show('mediator-front', 'StatusText'), /^wss:\/\/127\.0\.0\.1:8443( |$)/);
    assert.equal(await must('systemctl is-enabled mediator-front mediator-runner'), 'enabled\nenabled');
    assert.match(await must('mediator-agent check | head -n 1'), /^ok {4}/);
    for (const said of [
      /^ {2}scripts +\/etc\/mediator\/scripts: /m,
      /^ {2}web page +http:\/\/127\.0\.0\.1:9443\/?; .*: sudo cat \/etc\/mediator\/admin-token$/m,
      /^ {2}sudo mediator-agent stub .* --output /m,
    ])
      assert.match(stdout, said);
  });

  test('is found healthy by doctor, which knows the units', async () => {
    const said = await must('mediator-agent doctor');
    assert.doesNotMatch(said, /^FAIL/m);
    assert.match(said, /^ok {4}mediator-runner: active; control group delegated/m);
    assert.match(said, /^ok {4}mediator-front: active; /m);
    assert.match(said, /^ok {4}wss:\/\/127\.0\.0\.1:8443: the front answers/m);
  });

  test('lets bash complete commands', async () => {
    const typed = 'COMP_WORDS=(mediator-agent runs ver); COMP_CWORD=2; _mediator_agent; echo "${COMPREPLY[*]}"';
    assert.equal(await must(`source /usr/local/share/bash-completion/completions/mediator-agent; ${typed}`), 'verify');
  });

  test('is followed by a ticket that runs, and its history', async () => {
    await script('close-ticket.sh', '#!/bin/bash\necho "closed $(grep -o "<id>[0-9]*</id>") for $SCW_EVENT as $(id -un)"\n');
    const { code, stdout, stderr } = await new Call(await stubFor('close-ticket'), 4711).end();
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'closed <id>4711</id> for CLOSE as mediator\n', stderr: '' });
    const listed: unknown = JSON.parse(await must('mediator-agent runs list --ticket 4711 --json'));
    assert.partialDeepStrictEqual(listed, { script: 'close-ticket.sh', event: 'CLOSE', outcome: 'exited', code: 0 });
  });

  test('and by the page, which shows that run to who has the token', async (context) => {
    const page = await fetch(ADMIN);
    assert.match(await page.text(), /<title>/);
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'|default-src 'self'/);
    const token = read('/etc/mediator/admin-token').trim();
    const login = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) };
    const session = await fetch(`${ADMIN}/api/session`, login);
    const answer: unknown = await session.json();
    assert.ok(typeof answer === 'object' && answer !== null && 'csrf' in answer && typeof answer.csrf === 'string');
    const { csrf } = answer;
    const [cookie = ''] = (session.headers.get('set-cookie') ?? '').split(';');
    const found = await fetch(`${ADMIN}/api/runs?ticket=4711`, { headers: { cookie, 'x-mediator-csrf': csrf } });
    assert.partialDeepStrictEqual(await found.json(), {
      runs: [{ script: 'close-ticket.sh', event: 'CLOSE', outcome: 'exited', code: 0 }],
    });
    assert.equal((await fetch(`${ADMIN}/api/runs?ticket=4711`, { headers: { cookie } })).status, 401);
    context.diagnostic(`from the archive to the ticket's run on the page: ${Math.round((performance.now() - unpacked) / 1000)} s`);
  });
});

suite('the units', () => {
  test('have nothing that systemd does not know', async () => {
    const { stdout, stderr } = await sh('systemd-analyze verify mediator-front.service mediator-runner.service');
    assert.equal(stdout + stderr, '');
  });

  test('expose the front by at most 2.0', async () => {
    await must('systemd-analyze security --threshold=20 --no-pager mediator-front.service');
  });

  test('keep from each user what is not his', async () => {
    const denied = {
      'mediator-front': [
        '/etc/mediator/scripts/close-ticket.sh',
        '/etc/mediator/credentials',
        '/etc/mediator/keys.yaml',
        '/etc/mediator/tls/key.pem',
        '/var/lib/mediator',
      ],
      mediator: ['/etc/mediator/keys.yaml', '/etc/mediator/tls/key.pem', '/run/credentials/mediator-front.service/keys.yaml'],
      nobody: ['/etc/mediator/scripts', '/run/mediator/runner.sock', '/var/lib/mediator', '/etc/mediator/keys.yaml'],
    };
    for (const [user, paths] of Object.entries(denied)) {
      for (const path of paths) {
        await must(`test -e ${path}`);
        assert.notEqual((await sh(`runuser -u ${user} -- cat ${path}`)).code, 0, `${user} may read ${path}`);
        assert.notEqual((await sh(`runuser -u ${user} -- test -r ${path}`)).code, 0, `${user} may read ${path}`);
      }
    }
    await must('runuser -u mediator -- test -r /etc/mediator/scripts/close-ticket.sh');
    await must('runuser -u mediator-front -- test -w /run/mediator/runner.sock');
  });

  test('let the front execute nothing but Node, and map nothing but its libraries', async () => {
    const tried = await inSandbox(`/etc/mediator/node ${PROBE}`);
    const [itself, ...others] = tried.trimEnd().split('\n');
    assert.equal(itself, 'done: Node', 'what the probe does would work, if it were allowed');
    assert.ok(others.length >= 17, tried);
    for (const line of others) assert.match(line, /^refused: /);
  });

  test('let the front make no program in memory', async () => {
    const python = await must('readlink -f /usr/bin/python3');
    const made = (name: string): string => `${python} -c "import os; os.${name}; print('done')"`;
    assert.equal(await inSandbox(made('getpid()'), `ExecPaths=${python}`), 'done\n');
    assert.match(await inSandbox(made("memfd_create('x')"), `ExecPaths=${python}`), /PermissionError/);
  });

  test('write the log with priorities', async () => {
    const stub = await stubFor('close-ticket');
    writeFileSync(stub, read(stub).replace(/^BAKED_KEY_ID=.*$/m, "BAKED_KEY_ID='stranger'"));
    assert.equal((await new Call(stub, 1).end()).code, 77);
    const [refused = ''] = await until('the journal has it', async () => {
      const lines = await journal('mediator-front', '"msg":"refused"');
      return lines.length > 0 ? lines : undefined;
    });
    assert.match(refused, /^4 \{"level":40,/);
    assert.match((await journal('mediator-front', '"msg":"front ready"'))[0] ?? '', /^6 \{/);
  });

  for (const unit of UNITS) {
    test(`start ${unit} again if its event loop stands still`, async () => {
      mkdirSync(`/run/systemd/system/${unit}.service.d`, { recursive: true });
      writeFileSync(`/run/systemd/system/${unit}.service.d/test.conf`, '[Service]\nWatchdogSec=5s\n');
      await must(`systemctl daemon-reload && systemctl restart ${unit}`);
      const pid = await pidOf(unit);
      process.kill(pid, 'SIGSTOP');
      await startedAgain(unit, pid);
      assert.ok(!isAlive(pid));
      assert.ok(
        (await journal(unit, 'Watchdog timeout')).length > 0 || (await must(`journalctl -u ${unit} --quiet`)).includes('Watchdog timeout'),
      );
      rmSync(`/run/systemd/system/${unit}.service.d`, { recursive: true });
      await must(`systemctl daemon-reload && systemctl restart ${unit}`);
      assert.equal((await new Call(await stubFor('close-ticket'), 2).end()).code, 0);
    });
  }
});

suite('a reload', () => {
  test('takes new keys while calls go on, by the same processes', async () => {
    await script('slow.sh', SLOW);
    const call = new Call(await stubFor('slow'), 10);
    await call.printed('line 1\n');
    const pids = await Promise.all(UNITS.map(pidOf));
    const keys = read('/etc/mediator/keys.yaml');
    writeFileSync('/etc/mediator/keys.yaml', keys.replace('stub-1', 'stub-2'));
    await must('systemctl reload mediator-front mediator-runner');
    const stub = await stubFor('close-ticket');
    assert.match(read(stub), /^BAKED_KEY_ID='stub-2'$/m);
    await until('the new key is known', async () => (await new Call(stub, 11).end()).code === 0, PATIENCE);
    const old = `${stub}.old`;
    writeFileSync(old, read(stub).replace("BAKED_KEY_ID='stub-2'", "BAKED_KEY_ID='stub-1'"));
    assert.equal((await new Call(old, 12).end()).code, 77);
    assert.deepEqual(await call.end(), { code: 0, stdout: SLOW_OUTPUT, stderr: '' });
    assert.deepEqual(await Promise.all(UNITS.map(pidOf)), pids);
  });

  test('takes a new certificate, which only root can read', async () => {
    await must('mediator-agent init --dir /root/renewed --name localhost --name 127.0.0.1 && cp /root/renewed/tls/* /etc/mediator/tls/');
    assert.equal(statSync('/etc/mediator/tls/key.pem').mode & 0o777, 0o600);
    await must('systemctl reload mediator-front');
    const stub = await stubFor('close-ticket'); // pins the new one
    await until('the new certificate is shown', async () => (await new Call(stub, 13).end()).code === 0, PATIENCE);
  });

  test('with broken keys fails, keeps the old ones, and says so in the log and the status', async () => {
    const stub = await stubFor('close-ticket');
    const keys = read('/etc/mediator/keys.yaml');
    writeFileSync('/etc/mediator/keys.yaml', 'keys:\n  - id: stub-2\n');
    assert.equal((await sh('systemctl reload mediator-front')).code, 1);
    const status = await until('the status says so', async () => {
      const text = await show('mediator-front', 'StatusText');
      return text.includes('reload failed') ? text : undefined;
    });
    assert.match(status, /keys\.yaml:2: .*secret/);
    assert.match((await journal('mediator-front', 'reload failed'))[0] ?? '', /^3 \{"level":50,/);
    assert.equal((await new Call(stub, 14).end()).code, 0);
    writeFileSync('/etc/mediator/keys.yaml', keys);
    await must('systemctl reload mediator-front');
    await until('the status is well again', async () => !(await show('mediator-front', 'StatusText')).includes('reload failed'));
  });

  for (const unit of UNITS) {
    test(`of ${unit} fails with a broken agent.yaml, says why, and the same process serves on`, async () => {
      const stub = await stubFor('close-ticket');
      const pid = await pidOf(unit);
      const config = read('/etc/mediator/agent.yaml');
      writeFileSync('/etc/mediator/agent.yaml', `${config}colour: blue\n`);
      assert.equal((await sh(`systemctl reload ${unit}`)).code, 1);
      await until('the log says why', async () => (await journal(unit, '^nothing was reloaded, .*agent.yaml:[0-9]+: colour')).length > 0);
      assert.equal((await new Call(stub, 15).end()).code, 0);
      writeFileSync('/etc/mediator/agent.yaml', config);
      await must(`systemctl reload ${unit}`);
      assert.equal(await pidOf(unit), pid);
    });
  }

  test('without a file that only root can read fails, and changes nothing', async (context) => {
    const stub = await stubFor('close-ticket');
    await must('mv /etc/mediator/tls/key.pem /root/key.pem');
    const reloaded = await sh('systemctl reload mediator-front');
    await must('mv /root/key.pem /etc/mediator/tls/key.pem');
    context.diagnostic(await must('journalctl --unit=mediator-front --quiet --no-pager --output=cat --lines=8'));
    assert.equal(reloaded.code, 1);
    assert.equal((await new Call(stub, 16).end()).code, 0);
    await must('systemctl reload mediator-front');
  });
});

suite('nothing is lost', () => {
  /** Calls that are answered while something happens. Every one must arrive whole, and be one run. */
  async function underLoad(first: number, disturb: () => Promise<unknown>): Promise<void> {
    await script('slow.sh', SLOW);
    const stub = await stubFor('slow');
    const calls = Array.from({ length: 8 }, (_, index) => new Call(stub, first + index));
    await Promise.all(calls.map((call) => call.printed('line 3\n')));
    await disturb();
    for (const call of calls) {
      const { code, stdout, stderr } = await call.end();
      assert.deepEqual({ code, stdout }, { code: 0, stdout: SLOW_OUTPUT }, stderr);
    }
    const runs = await must(
      `mediator-agent runs list --script slow.sh --json | grep -cE '"ticket":"(${calls.map((_, index) => first + index).join('|')})"'`,
    );
    assert.equal(runs, String(calls.length));
  }

  test('when the front is restarted under load: stubs resume', async () => {
    await underLoad(100, () => must('systemctl restart mediator-front'));
  });

  test('when the front is killed under load', async () => {
    await underLoad(110, async () => {
      const pid = await pidOf('mediator-front');
      process.kill(pid, 'SIGKILL');
      await startedAgain('mediator-front', pid);
    });
  });

  test('when the runner is stopped: it lets runs finish, and refuses new ones with 75', async () => {
    const late = await stubFor('close-ticket');
    await underLoad(120, async () => {
      const stopping = must('systemctl stop mediator-runner');
      await until('the runner drains', async () => (await show('mediator-runner', 'StatusText')) === 'stopping', PATIENCE);
      assert.equal((await new Call(late, 130).end()).code, 75);
      await stopping;
      assert.equal(await show('mediator-runner', 'Result'), 'success');
      await must('systemctl start mediator-runner');
    });
  });

  test('when a newer version is installed under load: configuration, keys and history are kept', async () => {
    const kept = (): Promise<string> => must('sha256sum /etc/mediator/agent.yaml /etc/mediator/keys.yaml /etc/mediator/tls/*');
    const files = await kept();
    const pids = await Promise.all(UNITS.map(pidOf));
    await must(`cp -R ${archive} /root/newer && cd /root/newer && sed -i 's/"version": "[^"]*"/"version": "99.0.0"/' package.json &&
      find . -type f ! -name SHA256SUMS -printf '%P\\n' | sort | xargs sha256sum > SHA256SUMS`);
    await underLoad(140, async () => {
      const { code, stdout, stderr } = await sh('/root/newer/install.sh');
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /restart mediator-runner\.service; it lets runs finish, for 30s at most .*\n.*restart mediator-front\.service/);
    });
    assert.equal(await must('mediator-agent --version'), '99.0.0');
    assert.deepEqual(readdirSync('/opt/mediator-agent').sort(), ['99.0.0', 'current']);
    assert.equal(await kept(), files);
    for (const [index, unit] of UNITS.entries()) assert.notEqual(await pidOf(unit), pids[index]);
    assert.notEqual(await must('mediator-agent runs list --ticket 4711 --json'), '');
  });

  test('when an upgrade would not start: it is refused, and what runs runs on', async () => {
    const config = read('/etc/mediator/agent.yaml');
    writeFileSync('/etc/mediator/agent.yaml', `${config}colour: blue\n`);
    const pids = await Promise.all(UNITS.map(pidOf));
    const { code, stderr } = await install();
    assert.equal(code, 78, stderr);
    assert.match(stderr, /agent\.yaml:\d+: colour/);
    assert.deepEqual(await Promise.all(UNITS.map(pidOf)), pids);
    writeFileSync('/etc/mediator/agent.yaml', config);
  });
});

/** A script that starts a process which leaves session, parent and environment behind, prints, and waits for a file or for ever. */
const escaping = (name: string): string => `#!/bin/bash
(env -i /usr/bin/setsid /bin/bash -c 'trap "" TERM HUP; echo $$ > /var/lib/mediator/${name}.escaped; exec sleep 1000 </dev/null &>/dev/null' &)
until [[ -s /var/lib/mediator/${name}.escaped ]]; do sleep 0.05; done
echo begun
[[ \${1-} == end ]] || until [[ -e /var/lib/mediator/${name}.go ]]; do sleep 0.05; done
echo done
`;
const escapedOf = (name: string): number => Number(read(`/var/lib/mediator/${name}.escaped`));

suite('the control groups of runs', () => {
  const groups = (): Promise<string[]> =>
    must(`shopt -s nullglob; find $(ls -d ${GROUPS} 2>/dev/null) -mindepth 1 -maxdepth 1 -type d`).then((text) => text.split('\n'));
  let keeper = 0;

  test('are one for each run; it holds what has left session, parent and environment behind, and a cancel ends that too', async () => {
    await script('grouped.sh', escaping('grouped'));
    const call = new Call(await stubFor('grouped'), 400);
    await call.printed('begun\n');
    const escaped = escapedOf('grouped');
    const group = (await groups()).find((folder) => read(`${folder}/cgroup.procs`).split('\n').includes(String(escaped)));
    assert.ok(group);
    keeper = Number(await must('pgrep -u mediator -f " keeper --config"'));
    assert.ok(!read(`${group}/cgroup.procs`).split('\n').includes(String(keeper)), 'the keeper has left it');
    const { id } = runOf(await must('mediator-agent runs list --ticket 400 --json'));
    await must(`mediator-agent runs cancel ${id}`);
    assert.equal((await call.end()).code, 143);
    assert.ok(!isAlive(escaped));
    assert.ok(!existsSync(group), 'the group is removed');
    assert.ok(isAlive(keeper));
  });

  test('go with the last process that a script has left in the background', async () => {
    await script('daemon.sh', escaping('daemon').replace('${1-}', 'end'));
    assert.equal((await new Call(await stubFor('daemon'), 401).end()).code, 0);
    const escaped = escapedOf('daemon');
    assert.ok(isAlive(escaped), 'it may go on');
    process.kill(escaped, 'SIGKILL');
    await until('only the group of the next run is left', async () => {
      await new Call(await stubFor('close-ticket'), 402).end();
      return (await groups()).length === 1;
    });
  });

  test('have no limits in this system, and the log says so', async () => {
    await script('limited.sh', '#!/bin/bash\necho ran\n');
    writeFileSync('/etc/mediator/scripts/limited.yaml', 'limits: { memory: 64MiB, processes: 16, cpu: 0.5 }\n');
    assert.equal((await new Call(await stubFor('limited'), 403).end()).stdout, 'ran\n');
    const [line = ''] = await until('the log has it', async () => {
      const lines = await journal('mediator-runner', 'are not enforced');
      return lines.length > 0 && lines;
    });
    assert.match(line, /^4 .*"limits":\["memory","processes","cpu"\]/);
    assert.match((await sh('mediator-agent check')).stdout, /^warn {2}limited\.sh: its limits memory, processes, cpu /m);
  });
});

suite('a crash', () => {
  test('of the runner is not felt by scripts: every byte and the exit code arrive', async () => {
    await script('survivor.sh', escaping('survivor'));
    const call = new Call(await stubFor('survivor'), 200);
    await call.printed('begun\n');
    const pid = await pidOf('mediator-runner');
    process.kill(pid, 'SIGKILL');
    await startedAgain('mediator-runner', pid);
    writeFileSync('/var/lib/mediator/survivor.go', '');
    const { code, stdout } = await call.end();
    assert.deepEqual({ code, stdout }, { code: 0, stdout: 'begun\ndone\n' });
    assert.match(await must('mediator-agent runs list --ticket 200 --json'), /"outcome":"exited"/);
    process.kill(escapedOf('survivor'), 'SIGKILL');
  });

  test('of the keeper is told to the caller, leaves no process, and keeps the output', async () => {
    await script('orphan.sh', escaping('orphan'));
    const call = new Call(await stubFor('orphan'), 201);
    await call.printed('begun\n');
    process.kill(Number(await must('pgrep -u mediator -f " keeper --config"')), 'SIGKILL');
    const { code, stdout } = await call.end();
    assert.deepEqual({ code, stdout }, { code: 125, stdout: 'begun\n' });
    assert.ok(!isAlive(escapedOf('orphan')));
    assert.match(await must('mediator-agent runs list --ticket 201 --json'), /"outcome":"lost"/);
  });
});

suite('systemctl stop', () => {
  test('leaves nothing of the runner behind: no keeper, and no process that a script has left in the background', async () => {
    await script('leaver.sh', escaping('leaver').replace('${1-}', 'end'));
    assert.equal((await new Call(await stubFor('leaver'), 410).end()).code, 0);
    const escaped = escapedOf('leaver');
    assert.ok(isAlive(escaped));
    await must('systemctl stop mediator-runner');
    assert.ok(!isAlive(escaped));
    assert.equal(await must('pgrep -u mediator || true'), '');
    assert.equal(await show('mediator-runner', 'Result'), 'success');
    await must('systemctl start mediator-runner');
    assert.equal((await new Call(await stubFor('close-ticket'), 411).end()).code, 0);
  });
});

suite('install.sh --uninstall', () => {
  test('removes program and units, and leaves what is yours', async () => {
    const { code, stdout } = await sh('/root/newer/install.sh --uninstall');
    assert.equal(code, 0);
    assert.match(stdout, /kept: \/etc\/mediator/);
    for (const path of ['/opt/mediator-agent', '/usr/local/bin/mediator-agent', '/run/mediator', '/run/mediator-front'])
      assert.ok(!existsSync(path), path);
    for (const unit of UNITS) assert.equal(await show(unit, 'LoadState'), 'not-found');
    for (const path of ['/etc/mediator/keys.yaml', '/etc/mediator/scripts/close-ticket.sh', '/var/lib/mediator/journal.db'])
      assert.ok(existsSync(path), path);
  });

  test('and an installation after it finds all of it again', async () => {
    chmodSync('/root/newer/install.sh', 0o755);
    const { code, stdout, stderr } = await sh('/root/newer/install.sh');
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /kept: \/etc\/mediator/);
    assert.match(await must('mediator-agent runs list --ticket 4711 --json'), /"outcome":"exited"/);
    assert.equal((await new Call(await stubFor('close-ticket'), 300).end()).code, 0);
  });
});
