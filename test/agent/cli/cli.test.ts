/** The command line as a user types it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { exitCodeOf } from '../../../protocol/failures.ts';
import { prepareAgent, startAgent, type TestAgent } from '../../helpers/agent.ts';
import { MAIN, mediatorAgent, runCommand, type Result } from '../../helpers/command.ts';
import { temporaryFolder } from '../../helpers/folder.ts';
import { soon, until } from '../../helpers/wait.ts';

/** What a person gets who made a mistake: no stack, on stderr, nothing on stdout. */
function isRefusal({ code, stdout, stderr }: Result, expected: number): void {
  assert.equal(code, expected, stderr);
  assert.equal(stdout, '');
  assert.notEqual(stderr, '');
  assert.doesNotMatch(stderr, /\n\s+at .*:\d+/);
}

const jsonLines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));

suite('mediator-agent', () => {
  test('has a version and a help that names every command', async () => {
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync('package.json', 'utf8')));
    assert.deepEqual(await mediatorAgent(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
    const help = await mediatorAgent(['--help']);
    assert.equal(help.code, 0);
    for (const command of ['init', 'serve', 'check', 'stub', 'run', 'scripts', 'runs'])
      assert.match(help.stdout, new RegExp(`^ {2}${command}\\b`, 'm'));
  });
  test('refuses commands and options that do not exist, and those that are missing, with 64', async () => {
    const wrong = [
      ['nothing'],
      ['serve'],
      ['run', '--config', 'x'],
      ['stub', '--config', 'x', '--host', 'other'],
      ['keys', 'list', '--config', '/nowhere/agent.yaml'],
      ['init', '--dir', '/tmp/x', 'too', 'many'],
    ];
    for (const args of wrong) isRefusal(await mediatorAgent(args), 64);
  });
  test('runs from any folder, also through a link', async (context) => {
    const folder = temporaryFolder(context);
    assert.equal((await mediatorAgent(['--version'], { cwd: folder })).code, 0);
    assert.equal((await runCommand(MAIN, ['--version'], { cwd: folder })).code, 0, 'it is executable');
  });
});

suite('init', () => {
  const folder = temporaryFolder({ after });

  test('makes an installation that check finds nothing wrong with, and that only its owner can read', async () => {
    const dir = path.join(folder, 'new/agent');
    const made = await mediatorAgent([
      'init',
      '--dir',
      dir,
      '--listen',
      '127.0.0.1:8443',
      '--name',
      'agent.example',
      '--name',
      '192.0.2.1',
      '--name',
      '::1',
    ]);
    assert.equal(made.code, 0, made.stderr);
    assert.equal(made.stderr, '');
    for (const name of ['', 'agent.yaml', 'keys.yaml', 'tls', 'tls/key.pem', 'state'])
      assert.equal(statSync(path.join(dir, name)).mode & 0o077, 0, name);
    const certificate = new X509Certificate(readFileSync(path.join(dir, 'tls/cert.pem')));
    assert.ok(certificate.checkHost('agent.example') === 'agent.example' && certificate.checkIP('192.0.2.1') === '192.0.2.1');
    const checked = await mediatorAgent(['check', '--config', path.join(dir, 'agent.yaml')]);
    assert.equal(checked.code, 0, checked.stdout);
    assert.ok(!checked.stdout.includes('FAIL'));
    assert.ok(readdirSync(path.join(dir, 'scripts')).length > 5);
  });
  test('prints the fingerprint for SmartConsole, as check does, and as openssl has it', async () => {
    const dir = path.join(folder, 'fingerprint');
    const made = await mediatorAgent(['init', '--dir', dir]);
    const checked = await mediatorAgent(['check', '--config', path.join(dir, 'agent.yaml')]);
    const known = execFileSync('openssl', ['x509', '-in', path.join(dir, 'tls/cert.pem'), '-noout', '-fingerprint', '-sha1'], {
      encoding: 'utf8',
    });
    const fingerprint = /=((?:[0-9A-F]{2}:){19}[0-9A-F]{2})\n$/.exec(known)?.[1] ?? '';
    for (const { stdout } of [made, checked]) assert.ok(fingerprint !== '' && stdout.includes(`SHA-1 fingerprint ${fingerprint}`), stdout);
  });
  test('names the installation after this machine if it is not told otherwise', async () => {
    const dir = path.join(folder, 'unnamed');
    assert.equal((await mediatorAgent(['init', '--dir', dir])).code, 0);
    assert.match(readFileSync(path.join(dir, 'agent.yaml'), 'utf8'), /^names: .*"localhost"/m);
    assert.equal((await mediatorAgent(['check', '--config', path.join(dir, 'agent.yaml')])).code, 0);
  });
  test('touches no folder that is not empty', async () => {
    const dir = path.join(folder, 'full');
    mkdirSync(dir);
    writeFileSync(path.join(dir, 'mine'), 'x');
    isRefusal(await mediatorAgent(['init', '--dir', dir]), 64);
    assert.deepEqual(readdirSync(dir), ['mine']);
    isRefusal(await mediatorAgent(['init', '--dir', path.join(dir, 'mine')]), 64);
  });
  test('refuses an address or a name that it could not start with, and makes nothing', async () => {
    const dir = path.join(folder, 'wrong');
    for (const args of [
      ['--listen', 'nonsense'],
      ['--plaintext', '8080'],
      ['--name', 'a,b'],
    ]) {
      isRefusal(await mediatorAgent(['init', '--dir', dir, ...args]), 64);
      assert.ok(!existsSync(dir), args.join(' '));
    }
  });
});

const Finding = z.object({ state: z.literal('fail'), about: z.string(), message: z.string().min(1) });

suite('check', () => {
  let agent: TestAgent;
  before(async () => (agent = await prepareAgent()));
  after(() => {
    agent.remove();
  });

  test('names every fault of the configuration with its line, and exits with 64', async () => {
    const good = readFileSync(agent.config);
    writeFileSync(agent.config, 'names: []\nlog: loud\n');
    const [said, json] = [await agent.command(['check']), await agent.command(['check'], ['--json'])];
    writeFileSync(agent.config, good);
    assert.deepEqual([said.code, json.code], [64, 64]);
    assert.match(said.stdout, /^(FAIL {2}\S+agent\.yaml:\d: .+\n){3}$/);
    const findings = json.stdout.trimEnd().split('\n');
    assert.deepEqual(
      findings.map((line) => Finding.parse(JSON.parse(line)).about),
      ['1: names', '1: listen', '2: log'].map((place) => `${agent.config}:${place}`),
    );
  });
  test('names the faults of the keys beside those of the configuration, as serve does, wherever that says the keys are', async () => {
    const good = readFileSync(agent.config, 'utf8');
    const keys = path.join(agent.dir, 'other.yaml');
    writeFileSync(keys, 'keys:\n  - id: a b\n    secret: short\n', { mode: 0o600 });
    const said = async (settings: string): Promise<string> => {
      writeFileSync(agent.config, settings);
      const [checked, examined, served] = [await agent.command(['check']), await agent.command(['doctor']), await agent.command(['serve'])];
      assert.deepEqual([checked.code, examined.code, served.code], [64, 1, 64]);
      const faults = checked.stdout.replaceAll('FAIL  ', '');
      assert.equal(served.stderr.replaceAll('mediator-agent: ', ''), faults);
      for (const line of checked.stdout.trimEnd().split('\n')) assert.ok(examined.stdout.includes(line), line);
      return faults;
    };
    const other = good.replace(/^keys: .*$/m, 'keys: other.yaml');
    for (const wrong of [`${other}\nlogs: info\n`, `${other}\nlog: loud\n`, `${other}\ntls: {}\n`])
      assert.match(await said(wrong), /agent\.yaml:\d+: [^]*other\.yaml:2: keys\.0\.id: .*\n\S+other\.yaml:3: keys\.0\.secret: /, wrong);
    for (const wrong of [good.replace(/^keys: .*$/m, 'keys: [other.yaml]'), 'keys: {other.yaml'])
      assert.doesNotMatch(await said(wrong), /other\.yaml:/, wrong);
    writeFileSync(agent.config, good);
  });
  test('exits with 78 where only the keys have faults, as every command does that reads them; each names all of them', async () => {
    const keys = path.join(agent.dir, 'keys.yaml');
    const good = readFileSync(keys);
    writeFileSync(keys, 'keys:\n  - id: a b\n    secret: short\n');
    for (const command of [
      'check',
      'serve',
      'front',
      'keys list',
      'keys create x',
      'keys rotate x',
      'keys revoke x',
      'stub --url wss://a',
    ]) {
      const { code, stdout, stderr } = await mediatorAgent([...command.split(' '), '--config', agent.config]);
      assert.equal(code, 78, command + stderr);
      assert.match(
        command === 'check' ? stdout.replaceAll('FAIL  ', 'mediator-agent: ') : stderr,
        /^mediator-agent: \S+keys\.yaml:2: keys\.0\.id: .*\nmediator-agent: \S+keys\.yaml:3: keys\.0\.secret: .*\n$/,
        command,
      );
    }
    writeFileSync(keys, good);
  });
  test('names a broken script, and exits with 1', async () => {
    agent.script('good.sh', '#!/bin/bash\n');
    agent.script('bad.sh', '#!/bin/bash\n', { manifest: 'timeout: soon\n' });
    agent.script('loose.sh', '#!/bin/bash\n', { mode: 0o777 });
    const { code, stdout } = await agent.command(['check']);
    assert.equal(code, 1);
    assert.match(stdout, /^ok +good\.sh$/m);
    assert.match(stdout, /^FAIL +bad\.sh: .*bad\.yaml:1: timeout/m);
    assert.match(stdout, /^FAIL +loose\.sh: .*chmod go-w/m);
  });
  test('names a task that cannot be used, or names what is not there, and exits with 1', async () => {
    const tasks = {
      good: 'run-script: { repository-script: good.sh }',
      gone: 'run-script: { repository-script: gone.sh }',
      mail: 'send-mail: { smtp-server: office, mail-settings: { recipients: a@x.example, sender-email: b@x.example } }',
      two: 'reboot: {}',
    };
    for (const [name, action] of Object.entries(tasks))
      writeFileSync(path.join(agent.scripts, `${name}.task.yaml`), `name: ${name}\ntrigger: CLOSE\naction:\n  ${action}\n`, {
        mode: 0o644,
      });
    const { code, stdout } = await agent.command(['check']);
    assert.equal(code, 1);
    assert.match(stdout, /^ok +good\.task\.yaml$/m);
    assert.match(stdout, /^FAIL +gone\.task\.yaml: .*gone\.sh/m);
    assert.match(stdout, /^FAIL +mail\.task\.yaml: .*"office"/m);
    assert.match(stdout, /^FAIL +two\.task\.yaml: .*two\.task\.yaml:4: action\.reboot/m);
  });
  test('starts nothing', () => {
    assert.ok(!existsSync(path.join(agent.state, 'journal.db')));
  });
});

suite('with an agent that does not run', () => {
  let agent: TestAgent;
  before(async () => (agent = await prepareAgent()));
  after(() => {
    agent.remove();
  });

  test('every command that needs it says so, with 75', async () => {
    for (const command of [
      ['runs', 'list'],
      ['scripts', 'list'],
      ['run', '--config', agent.config, 'x'],
    ]) {
      const result = command[0] === 'run' ? await mediatorAgent(command) : await agent.command(command);
      isRefusal(result, exitCodeOf('runner-away'));
    }
  });
});

suite('with an agent that runs', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await startAgent();
    agent.script('sub/echo.sh', '#!/bin/bash\nprintf "%s\\n" "$@"\ncat\necho err >&2\nexit 3\n', {
      manifest: 'description: Says it again\n',
    });
    agent.script('ok.sh', '#!/bin/bash\necho ok\n');
    agent.script('bad.sh', '#!/bin/bash\n', { manifest: 'timeout: soon\n' });
    agent.script('sleep.sh', '#!/bin/bash\necho begun\nexec sleep 60\n');
  });
  after(() => agent.close());

  const run = (args: string[], options = {}): Promise<Result> => agent.command(['run'], args, options);

  test('run gives the script its arguments and stdin, and becomes it', async () => {
    const stdin = Buffer.concat([Buffer.from([0, 255]), Buffer.from('no newline')]);
    const result = await run(['sub/echo', 'a b', '--config', '-x', '--', ''], { stdin });
    assert.deepEqual([result.code, result.stderr], [3, 'err\n']);
    assert.equal(result.stdout, `a b\n--config\n-x\n--\n\n${stdin.toString()}`);
  });
  test('run passes on what the configuration allows', async () => {
    agent.script('event.sh', '#!/bin/bash\necho "$SCW_EVENT,$OTHER"\n');
    assert.equal((await run(['event'], { env: { SCW_EVENT: 'CLOSE', OTHER: 'x' } })).stdout, 'CLOSE,\n');
  });
  test('run says why a script cannot run, with the exit code of a stub', async () => {
    isRefusal(await run(['nothing']), 127);
    isRefusal(await run(['../x']), 127);
    isRefusal(await run(['bad']), 126);
  });
  test('run with more stdin than is allowed says so, and does not wait for the end of an endless one', async () => {
    const endless = `yes | ${process.execPath} ${MAIN} run --config ${agent.config} ok`;
    const result = await runCommand('/bin/bash', ['-c', endless]);
    isRefusal(result, exitCodeOf('stdin-too-large'));
  });
  test('run that is interrupted cancels its run', async () => {
    const child = spawn(process.execPath, [MAIN, 'run', '--config', agent.config, 'sleep'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    const exit = once(child, 'exit');
    child.kill('SIGINT');
    assert.deepEqual(await soon('the end of the command', exit), [143, null]);
    assert.equal((await agent.runs('limit=1'))[0]?.outcome, 'cancelled');
  });
  test('run whose reader goes away ends without a word', async () => {
    agent.script('many.sh', '#!/bin/bash\nseq 200000\n');
    const pipeline = `set -o pipefail; ${process.execPath} ${MAIN} run --config ${agent.config} many </dev/null | head -1`;
    const { stdout, stderr } = await runCommand('/bin/bash', ['-c', pipeline]);
    assert.deepEqual([stdout, stderr], ['1\n', '']);
  });
  test('scripts list names all scripts, and what is wrong with them, for people and programs', async () => {
    const table = await agent.command(['scripts', 'list']);
    assert.match(table.stdout, /^sub\/echo\.sh +ready +[0-9a-f]{12} +Says it again$/m);
    assert.match(table.stdout, /^bad\.sh +broken-manifest /m);
    const { code, stdout } = await agent.command(['scripts', 'list'], ['--json']);
    assert.equal(code, 0);
    const names = jsonLines(stdout).map((line) => z.object({ name: z.string() }).parse(line).name);
    for (const name of ['bad.sh', 'ok.sh', 'sub/echo.sh']) assert.ok(names.includes(name));
  });
  test('scripts show tells how a script would be started, also one in a subfolder', async () => {
    const { code, stdout } = await agent.command(['scripts', 'show'], ['sub/echo', '--json']);
    assert.equal(code, 0);
    const [script] = jsonLines(stdout);
    assert.deepEqual(z.object({ name: z.string(), command: z.array(z.string()) }).parse(script), {
      name: 'sub/echo.sh',
      command: [path.join(agent.scripts, 'sub/echo.sh')],
    });
    isRefusal(await agent.command(['scripts', 'show'], ['nothing']), 127);
  });
  test('scripts show tells durations and sizes with their units, as a manifest has them', async () => {
    agent.script('timed.sh', '#!/bin/sh\n', { manifest: 'timeout: 90s\ngrace: 2500ms\noutput-limit: 64MiB\n' });
    const { stdout } = await agent.command(['scripts', 'show'], ['timed']);
    for (const line of [/^timeout: +90s$/m, /^grace: +2500ms$/m, /^output-limit: +64MiB$/m]) assert.match(stdout, line);
  });
  test('scripts show tells what is wrong with a script that cannot be started, and exits with 1', async () => {
    const { code, stdout } = await agent.command(['scripts', 'show'], ['bad']);
    assert.equal(code, 1);
    assert.match(stdout, /^state: +\S+bad\.yaml:1: timeout: "soon"/m);
  });
  test('runs list refuses a limit that is none, and says which there are, with 64', async () => {
    for (const command of ['list', 'refused'])
      for (const limit of ['x', '0', '-1', '1.5', '10001', '']) {
        const result = await agent.command(['runs', command], ['--limit', limit]);
        isRefusal(result, 64);
        assert.match(result.stderr, /1 to 10000/);
      }
  });
  test('runs list, show, logs and rerun know a run', async () => {
    await run(['sub/echo', 'x'], { stdin: 'in' });
    const [listed] = jsonLines((await agent.command(['runs', 'list'], ['--json', '--script', 'sub/echo', '--limit', '1'])).stdout);
    const Run = z.object({
      id: z.string(),
      script: z.string(),
      outcome: z.string(),
      code: z.number(),
      stdout: z.number(),
      duration_ms: z.number(),
    });
    const { id, ...rest } = Run.parse(listed);
    assert.deepEqual({ ...rest, duration_ms: 0 }, { script: 'sub/echo.sh', outcome: 'exited', code: 3, stdout: 4, duration_ms: 0 });
    assert.match((await agent.command(['runs', 'list'])).stdout, new RegExp(`^${id} `, 'm'));
    assert.match((await agent.command(['runs', 'show'], [id])).stdout, /^args: +\["x"\]$/m);
    assert.deepEqual(await agent.command(['runs', 'logs'], [id]), { code: 0, stdout: 'x\nin', stderr: 'err\n' });
    assert.deepEqual(await agent.command(['runs', 'logs'], ['-f', id]), { code: 3, stdout: 'x\nin', stderr: 'err\n' });
    const again = await agent.command(['runs', 'rerun'], [id]);
    assert.deepEqual([again.code, again.stdout], [3, 'x\nin']);
    const [newest] = await agent.runs('limit=1');
    assert.notEqual(newest?.id, id);
  });
  test('runs list and export take a time range, and export gives everything, page by page', async () => {
    const noon = Date.now();
    await run(['sub/echo', 'x'], { stdin: 'in' });
    const Ids = z.object({ id: z.string(), accepted: z.string() });
    const list = async (...args: string[]): Promise<z.output<typeof Ids>[]> =>
      jsonLines((await agent.command(['runs', 'list'], ['--json', ...args])).stdout).map((line) => Ids.parse(line));
    const moment = new Date(noon).toISOString();
    const later = await list('--since', moment);
    assert.equal(later.length, 1);
    const earlier = await list('--until', moment, '--limit', '1000');
    assert.ok(earlier.length > 0 && earlier.every(({ accepted }) => Date.parse(accepted) < noon));
    assert.equal((await list('--since', '1d', '--limit', '1000')).length, earlier.length + 1);
    assert.deepEqual(await list('--until', '1d'), []);
    const exported = jsonLines((await agent.command(['runs', 'export'], ['--script', 'sub/echo', '--since', '1h'])).stdout);
    const Whole = z.object({ id: z.string(), args: z.array(z.string()), stdout_sha256: z.string() });
    assert.deepEqual(Whole.parse(exported[0]).args, ['x']);
    isRefusal(await agent.command(['runs', 'list'], ['--since', 'yesterday']), 64);
    isRefusal(await agent.command(['runs', 'export'], ['--until', '2026-13-45']), 64);
  });
  test('the API names a filter that it does not know, and those that it knows', async () => {
    const { status, body } = await agent.api('/v1/runs?tickets=4711&limit=0');
    assert.equal(status, 400);
    assert.match(JSON.stringify(body), /"limit: [^;]+; tickets: is not a known field; known here: ticket, script, event, /);
  });
  test('runs logs shows one stream alone', async () => {
    await run(['sub/echo', 'x'], { stdin: 'in' });
    const id = (await agent.runs('limit=1'))[0]?.id ?? '';
    assert.deepEqual(await agent.command(['runs', 'logs'], ['--stdout', id]), { code: 0, stdout: 'x\nin', stderr: '' });
    assert.deepEqual(await agent.command(['runs', 'logs'], ['--stderr', id]), { code: 0, stdout: '', stderr: 'err\n' });
    isRefusal(await agent.command(['runs', 'logs'], ['--stdout', '--stderr', id]), 64);
  });
  test('runs logs --json and rerun --json print what came from where, and what became of the run, a line each', async () => {
    await run(['sub/echo', 'x'], { stdin: 'in' });
    const id = (await agent.runs('limit=1'))[0]?.id ?? '';
    const Line = z.object({ stream: z.string(), text: z.string() });
    const whole = (stdout: string): Record<string, string> => {
      const text: Record<string, string> = {};
      for (const line of jsonLines(stdout)) {
        const { success, data } = Line.safeParse(line);
        if (success) text[data.stream] = `${text[data.stream] ?? ''}${data.text}`;
      }
      return text;
    };
    const ended = { outcome: 'exited', code: 3, message: '' };
    const told = await agent.command(['runs', 'logs'], ['--json', id]);
    assert.deepEqual([told.code, told.stderr, whole(told.stdout)], [0, '', { stdout: 'x\nin', stderr: 'err\n' }]);
    assert.deepEqual(jsonLines(told.stdout).at(-1), ended);
    const one = await agent.command(['runs', 'logs'], ['--json', '--stderr', '-f', id]);
    assert.deepEqual([one.code, whole(one.stdout)], [3, { stderr: 'err\n' }]);
    const again = await agent.command(['runs', 'rerun'], ['--json', id]);
    const lines = jsonLines(again.stdout);
    assert.deepEqual([again.code, again.stderr, whole(again.stdout)], [3, '', { stdout: 'x\nin', stderr: 'err\n' }]);
    assert.deepEqual([lines[0], lines.at(-1)], [{ id: (await agent.runs('limit=1'))[0]?.id, rerun_of: id }, ended]);
  });
  test('runs logs --json leaves out no byte, also not one of a letter that did not come to its end', async () => {
    agent.script('half.sh', "#!/bin/bash\nprintf 'h\\xc3'\nprintf 'e\\xe2\\x82' >&2\n");
    await run(['half']);
    const { stdout } = await agent.command(['runs', 'logs'], ['--json', (await agent.runs('limit=1'))[0]?.id ?? '']);
    const texts = z.array(z.object({ stream: z.string().default(''), text: z.string().default('') })).parse(jsonLines(stdout));
    const whole = (of: string): string => texts.map(({ stream, text }) => (stream === of ? text : '')).join('');
    assert.deepEqual([whole('stdout'), whole('stderr')], ['h\ufffd', 'e\ufffd']);
  });
  test('runs logs says that output is lost, whichever of it, and ends with 125', async () => {
    agent.script('much.sh', '#!/bin/bash\necho err >&2\nseq 100000\n');
    await run(['much']);
    const id = (await agent.runs('limit=1'))[0]?.id ?? '';
    const [stdout, stderr] = ['stdout', 'stderr'].map((name) => agent.spoolFile(id, name));
    const losses = [() => truncateSync(stdout ?? '', 300_000), () => rmSync(stdout ?? ''), () => rmSync(stderr ?? '')];
    for (const [index, lose] of losses.entries()) {
      lose();
      for (const options of [[], ['-f'], ['--json', '--stderr']]) {
        const { code, stderr: said } = await agent.command(['runs', 'logs'], [...options, id]);
        assert.equal(code, 125, `${index} ${options.join()}`);
        assert.match(said, new RegExp(`^mediator(-agent)?: output of run ${id} is lost from the spool; .*runs verify`, 'm'));
      }
    }
  });
  test('runs cancel ends a run that goes on, and refuses one that has ended', async () => {
    const child = spawn(process.execPath, [MAIN, 'run', '--config', agent.config, 'sleep'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    const [going] = await agent.runs('limit=1');
    assert.ok(going);
    const logs = agent.command(['runs', 'logs'], ['-f', going.id]);
    const cancelled = { code: 0, stdout: `{"id":"${going.id}","change":"cancelled"}\n`, stderr: '' };
    assert.deepEqual(await agent.command(['runs', 'cancel'], ['--json', going.id]), cancelled);
    assert.deepEqual(await soon('the end of the run', exit), [143, null]);
    const { code, stdout } = await logs;
    assert.deepEqual([code, stdout], [143, 'begun\n']);
    isRefusal(await agent.command(['runs', 'cancel'], [going.id]), exitCodeOf('unknown-run'));
  });
  test('runs that do not exist are refused', async () => {
    for (const command of ['show', 'logs', 'cancel', 'rerun'])
      isRefusal(await agent.command(['runs', command], ['0'.repeat(26)]), exitCodeOf('unknown-run'));
    await until('nothing goes on', async () => (await agent.runs('limit=1000')).every(({ outcome }) => outcome !== null));
  });
  test('the table shows no control characters of a caller', async () => {
    agent.script('event.sh', '#!/bin/bash\n');
    await run(['event'], { env: { SCW_EVENT: '\u001b[31mred\u0007' } });
    // eslint-disable-next-line no-control-regex -- control characters are what must not be there
    const wild = /[\u0000-\u0009\u000b-\u001f]/;
    const table = (await agent.command(['runs', 'list'])).stdout;
    assert.doesNotMatch(table, wild);
    assert.ok(table.includes('\\x1b[31mred\\x07'));
    const id = (await agent.runs('limit=1'))[0]?.id ?? '';
    assert.doesNotMatch((await agent.command(['runs', 'show'], [id])).stdout, wild);
  });
});

suite('stub', () => {
  let agent: TestAgent;
  before(async () => {
    agent = await prepareAgent({ settings: { listen: { tls: ['0.0.0.0:8443'], plaintext: ['127.0.0.1:8080'] } } });
  });
  after(() => {
    agent.remove();
  });

  test('prints a stub that bash accepts, with everything that it needs, and without the secret', async () => {
    const { code, stdout } = await agent.command(['stub'], ['--script', "it's", '--host', 'securechange']);
    assert.equal(code, 0);
    assert.match(stdout, /^BAKED_URL='wss:\/\/localhost:8443'$/m);
    assert.match(stdout, /^BAKED_SCRIPT='it'\\''s'$/m);
    assert.ok(stdout.includes(agent.certificate.trim()));
    assert.ok(!stdout.includes(agent.key.secret));
    const file = path.join(agent.dir, 'stub.sh');
    writeFileSync(file, stdout);
    assert.deepEqual(await runCommand('/bin/bash', ['-n', file]), { code: 0, stdout: '', stderr: '' });
  });
  test('is printed for a script that is not there, with a warning that names what may have been meant', async () => {
    agent.script('close-ticket.sh', 'echo\n');
    agent.script('sub/Report.py', 'print()\n');
    for (const [name, hint] of [
      ['close-tiket', /no script answers to "close-tiket"; .*; did you mean close-ticket\?$/],
      ['close-ticket.py', /; did you mean close-ticket\.sh\?$/],
      ['sub/report', /; did you mean sub\/Report\?$/],
      ['something-else', /no script answers to "something-else"; [^?]*$/],
      ['../x', /./],
    ] as const) {
      const { code, stdout, stderr } = await agent.command(['stub'], ['--script', name]);
      assert.equal(code, 0);
      assert.ok(stdout.includes(`BAKED_SCRIPT='${name}'`));
      assert.match(stderr.trimEnd(), hint);
      assert.match(stderr, /^mediator-agent: the stub was made, but [^\n]*\n$/);
    }
    for (const name of ['close-ticket', 'close-ticket.sh', 'sub/Report'])
      assert.equal((await agent.command(['stub'], ['--script', name])).stderr, '');
    assert.equal((await agent.command(['stub'])).stderr, '');
  });
  test('is printed for a key that does not let it call, with a warning', async () => {
    const limits = ['--scripts', 'close-*', '--hosts', 'securechange', '--events', 'CLOSE'];
    assert.equal((await agent.command(['keys', 'create', 'narrow'], limits)).code, 0);
    agent.script('other.sh', 'echo\n');
    for (const [options, warning] of [
      [
        ['--script', 'other', '--host', 'securechange'],
        /but the key narrow may not call this script; its scripts are listed in keys\.yaml\n$/,
      ],
      [['--script', 'close-ticket'], /but the key narrow may not call for the host generic; /],
      [['--event', 'CLOSE', '--host', 'securechange'], /but the key narrow may not call this script; /],
      [['--script', 'close-ticket', '--host', 'securechange'], /^$/],
      [['--host', 'securechange'], /^$/],
    ] as const)
      assert.match((await agent.command(['stub'], ['--key', 'narrow', ...options])).stderr, warning);
  });
  test('is printed for an event that no enabled task has as its trigger, with a warning', async () => {
    const write = (enabled: boolean): string =>
      agent.script(
        'on-close.task.yaml',
        `name: x\ntrigger: CLOSE\nenabled: ${enabled}\naction: { run-script: { repository-script: x.sh } }\n`,
      );
    write(false);
    for (const [event, hint] of [
      ['CLOSE', /no task of "CLOSE" is enabled; set enabled: true in on-close\.task\.yaml$/],
      ['CLOSED', /no task has the trigger "CLOSED"; .* did you mean CLOSE\?$/],
      ['After Publish', /no task has the trigger "After Publish"; [^?]*$/],
    ] as const) {
      const { code, stdout, stderr } = await agent.command(['stub'], ['--event', event]);
      assert.equal(code, 0);
      assert.ok(stdout.includes(`BAKED_EVENT='${event}'`));
      assert.match(stderr.trimEnd(), hint);
    }
    write(true);
    for (const event of ['CLOSE', 'SCW_EVENT']) assert.equal((await agent.command(['stub'], ['--event', event])).stderr, '');
  });
  test('refuses a key that does not exist, contradictions, and a port that nobody knows', async () => {
    isRefusal(await agent.command(['stub'], ['--key', 'nobody']), 64);
    isRefusal(await agent.command(['stub'], ['--fail-open', '--fail-closed']), 64);
    agent.configure({ listen: { plaintext: ['127.0.0.1:0'] } });
    isRefusal(await agent.command(['stub']), 64);
    isRefusal(await agent.command(['stub'], ['--plaintext']), 64);
    assert.equal((await agent.command(['stub'], ['--url', 'wss://agent.example'])).code, 0);
  });
  test('is written to a file for its owner alone, also where there was one for all', async () => {
    const file = path.join(agent.dir, 'written.sh');
    writeFileSync(file, 'of yesterday', { mode: 0o644 });
    const { code, stdout } = await agent.command(['stub'], ['--url', 'wss://a', '--output', file]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '' });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, 'utf8'), /^BAKED_URL='wss:\/\/a'$/m);
  });
  test('refuses a timeout and a URL that no stub could use', async () => {
    for (const args of [
      ['--timeout', 'soon'],
      ['--timeout', '90000'],
      ['--url', 'http://a'],
    ]) {
      isRefusal(await agent.command(['stub'], ['--url', 'wss://a', ...args]), 64);
    }
  });
});
