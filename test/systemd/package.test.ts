/** The release archive: what is in it, and that it works without the repository. What install.sh makes of it, on a machine with systemd, is shown by booted.ts. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tmpdir } from 'node:os';
import { after, before, suite, test } from 'node:test';
import { parse, parseDocument } from 'yaml';
import { z } from 'zod';
import { ROOT, runCommand } from '../helpers/command.ts';
import { soon } from '../helpers/wait.ts';

const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')));
const name = `mediator-agent-${version}`;

const Overlay = z.object({
  images: z.array(z.object({ name: z.string() })),
  secretGenerator: z.array(z.object({ files: z.array(z.string()) })),
  patches: z.tuple([z.object({ patch: z.string() })]),
});
const Patch = z.tuple([z.object({ op: z.literal('replace'), path: z.string() })]);

suite('the release archive', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mediator-package-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const home = path.join(folder, name);

  function pack(): Buffer {
    execFileSync(process.execPath, [path.join(ROOT, 'systemd/package.ts')], {
      env: { ...process.env, MEDIATOR_DIST: path.join(folder, 'dist') },
    });
    return readFileSync(path.join(folder, 'dist', `${name}.tar.gz`));
  }
  const first = pack();
  execFileSync('tar', ['-xzf', path.join(folder, 'dist', `${name}.tar.gz`), '-C', folder]);

  /** The agent of the archive, with this Node. */
  const agent = (...args: string[]): ReturnType<typeof runCommand> =>
    runCommand(process.execPath, [path.join(home, 'agent/bundle/mediator-agent.js'), ...args], { cwd: folder });

  const bundle = (): string[] => readdirSync(path.join(home, 'agent/bundle'));
  const code = (file: string): string => readFileSync(path.join(home, 'agent/bundle', file), 'utf8');

  test('is the same byte for byte whenever and wherever it is made', () => {
    assert.ok(first.equals(pack()));
  });

  test('has a checksum, and one of every file in it', async () => {
    const sum = await runCommand('sha256sum', ['--check', `${name}.tar.gz.sha256`], { cwd: path.join(folder, 'dist') });
    assert.equal(sum.code, 0, sum.stderr);
    const sums = await runCommand('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: home });
    assert.equal(sums.code, 0, sums.stdout + sums.stderr);
    const listed = readFileSync(path.join(home, 'SHA256SUMS'), 'utf8')
      .match(/(?<= {2}).+$/gm)
      ?.sort();
    const there = readdirSync(home, { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'SHA256SUMS')
      .map((entry) => path.relative(home, path.join(entry.parentPath, entry.name)));
    assert.deepEqual(listed, there.sort());
  });

  test('has the licence of every package in the bundle', () => {
    const text = readFileSync(path.join(home, 'THIRD-PARTY-LICENSES'), 'utf8');
    for (const library of ['ws', 'zod', 'pino', 'yaml', 'execa', 'commander', 'chokidar', 'ulid', 'nodemailer', 'fast-xml-parser']) {
      assert.match(text, new RegExp(`^${library} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
    }
  });

  test('holds neither tests nor sources, and no path of the machine that made it', () => {
    assert.ok(!existsSync(path.join(home, 'test')));
    assert.deepEqual(readdirSync(path.join(home, 'agent')), ['admin', 'bundle']);
    assert.deepEqual(readdirSync(path.join(home, 'agent/admin/page')), ['app.js', 'icon.svg', 'index.html', 'style.css']);
    for (const file of bundle()) assert.ok(!code(file).includes(ROOT), file);
  });

  test('starts scripts from a small process: the keeper loads two files, a tenth of the agent', () => {
    const loaded = ['mediator-agent.js', 'keeper.js'];
    assert.match(code('mediator-agent.js'), /import\("\.\/keeper\.js"\)/);
    for (const file of loaded) assert.doesNotMatch(code(file), /^(import|\}) .*"\.\//m, `${file} loads another one`);
    const size = (files: string[]): number => files.reduce((sum, file) => sum + code(file).length, 0);
    assert.ok(size(loaded) < size(bundle()) / 10, `${size(loaded)} of ${size(bundle())} bytes`);
  });

  test('cannot be told to crash: the variable by which tests do that is not in it', () => {
    assert.ok(readFileSync(path.join(ROOT, 'agent/process/crash-point.ts'), 'utf8').includes('MEDIATOR_CRASH_FILE'));
    for (const file of bundle()) assert.ok(!code(file).includes('MEDIATOR_CRASH_FILE'), file);
  });

  test('works by itself: init, check, a stub, and a run through it', async () => {
    assert.equal((await agent('--version')).stdout.trim(), version);
    const made = await agent('init', '--dir', 'm', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--name', 'localhost');
    assert.equal(made.code, 0, made.stderr);
    const checked = await agent('check', '--config', 'm/agent.yaml');
    assert.match(checked.stdout, /^ok {4}.*agent\.yaml/m);
    const stub = await agent('stub', '--config', 'm/agent.yaml', '--url', 'wss://localhost:1');
    assert.match(stub.stdout, /^BAKED_KEY_ID='stub-1'$/m);
    writeFileSync(path.join(folder, 'm/scripts/hello.ts'), 'const name: string = process.argv[2] ?? "";\nconsole.log(`hello ${name}`);\n');
    // As the archive's own `mediator-agent` starts it: Node 22 warns of SQLite.
    const program = ['--disable-warning=ExperimentalWarning', path.join(home, 'agent/bundle/mediator-agent.js')];
    const serve = spawn(process.execPath, [...program, 'serve', '--config', 'm/agent.yaml'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [ready] = z.tuple([z.instanceof(Buffer)]).parse(await soon('a word from serve', once(serve.stderr, 'data')));
    assert.match(ready.toString(), /^ready wss:/);
    const admin = /http:\S+/.exec(ready.toString())?.[0] ?? '';
    const page = await (await fetch(admin)).text();
    assert.ok(page.includes('/app.js') && !page.includes('importmap'), 'the page needs nothing beside its files');
    assert.ok((await (await fetch(`${admin}/app.js`)).text()).includes('mediator-agent runs logs'));
    const ran = await agent('run', '--config', 'm/agent.yaml', 'hello', 'world');
    serve.kill('SIGTERM');
    await soon('the end of serve', once(serve, 'exit'));
    assert.equal(ran.stdout, 'hello world\n', ran.stderr); // TypeScript, without tsx
    assert.equal(ran.code, 0);
  });

  test('gives the pod of container/ what its overlay names, by the commands of container/README.md', async () => {
    const read = (file: string): string => readFileSync(path.join(home, 'container', file), 'utf8');
    const commands = /^cd container\/overlay[^]*?(?=^```)/m.exec(read('README.md'))?.[0] ?? '';
    const programs = path.join(folder, 'kubectl');
    mkdirSync(programs);
    writeFileSync(path.join(programs, 'kubectl'), '#!/bin/sh\necho "$PWD: $*"\n', { mode: 0o755 });
    const typed = await runCommand('bash', ['-euo', 'pipefail', '-c', commands], {
      cwd: home,
      env: {
        PATH: `${programs}:${path.dirname(process.execPath)}:${process.env.PATH ?? ''}`,
        HOME: path.join(folder, 'm/tls'), // of the test before: cert.pem is there
        SECRET: 's'.repeat(43),
      },
    });
    assert.equal(typed.code, 0, typed.stderr);
    assert.match(typed.stdout, /container\/overlay: apply -k \.$/m);
    const overlay = Overlay.parse(parse(read('overlay/kustomization.yaml')));
    for (const file of overlay.secretGenerator.flatMap(({ files }) => files))
      assert.equal(statSync(path.join(home, 'container/overlay', file)).mode & 0o777, 0o600, file);
    const checked = await agent('check', '--config', path.join(home, 'container/overlay/secrets/agent.yaml'));
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    assert.match(read('overlay/secrets/mediator.sh'), /^BAKED_URL='ws:\/\/127\.0\.0\.1:8080'$/m);
    for (const { name: image } of overlay.images) assert.ok(read('base/deployment.yaml').includes(` image: ${image}\n`), image);
    const [{ path: place }] = Patch.parse(parse(overlay.patches[0].patch));
    const found = parseDocument(read('base/network-policy.yaml')).getIn(place.split('/').slice(1));
    assert.equal(found, '192.0.2.10/32');
  });

  suite('install.sh in it, where nothing can be changed,', () => {
    const etc = path.join(folder, 'etc');
    const programs = path.join(folder, 'programs');
    before(async () => {
      assert.equal((await agent('init', '--dir', etc, '--name', 'localhost')).code, 0);
      mkdirSync(programs);
      for (const name of ['systemctl', 'systemd-sysusers', 'systemd-tmpfiles', 'systemd-notify'])
        writeFileSync(path.join(programs, name), '#!/bin/sh\n', { mode: 0o755 }); // every unit is active
    });

    /** On a host that has this agent already, or none. */
    function install(host: 'new' | 'installed', ...args: string[]): ReturnType<typeof runCommand> {
      const binds = ['/etc/passwd', '/etc/group', '/etc/ssl'].flatMap((file) => ['--ro-bind', file, file]);
      const installed = host === 'installed' ? ['--ro-bind', etc, '/etc/mediator'] : [];
      return runCommand(
        'bwrap',
        [
          ...['--ro-bind', '/', '/', '--dev', '/dev', '--tmpfs', '/etc', '--tmpfs', '/var/tmp', ...binds, ...installed],
          path.join(home, 'install.sh'),
          ...args,
        ],
        { env: { TMPDIR: '/var/tmp', PATH: `${programs}:${path.dirname(process.execPath)}:/usr/bin:/bin` } },
      );
    }
    const dryRun = ['--node', process.execPath, '--dry-run'];

    for (const option of [
      ['--name', 'other.example.com'],
      ['--listen', '0.0.0.0:9999'],
    ]) {
      test(`refuses ${option[0]} on a host that has the agent already, and says where that is changed`, async () => {
        const { code, stdout, stderr } = await install('installed', ...option, ...dryRun);
        assert.equal(code, 64, stderr);
        assert.equal(stdout, '');
        assert.match(stderr, /Nothing was changed[^]*`names` and `listen` in that file/);
        assert.equal((await install('new', ...option, ...dryRun)).code, 0);
      });
    }

    test('refuses a name that cannot be one before it changes anything', async () => {
      const { code, stdout, stderr } = await install('new', '--name', 'no name', ...dryRun);
      assert.equal(code, 64, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, /--name no name: /);
    });

    test('refuses an option that it does not have, and names it', async () => {
      const { code, stdout, stderr } = await install('new', '--nme', 'localhost', ...dryRun);
      assert.deepEqual([code, stdout], [64, '']);
      assert.match(stderr, /^install: --nme is not an option .*Nothing was changed$/m);
    });

    test('refuses what --uninstall would pass over', async () => {
      for (const option of [['--node', process.execPath], ['--no-start'], ['--name', 'localhost']])
        assert.equal((await install('installed', '--uninstall', '--dry-run', ...option)).code, 64, option.join(' '));
    });

    for (const [what, file, said] of [
      ['is another program', '/bin/cat', '/bin/cat is no Node'],
      ['is not there', '/opt/no/such/node', '/opt/no/such/node is no program'],
      ['is a folder', '/usr', '/usr is no program'],
    ] as const) {
      test(`says in one line what is needed where --node ${what}`, async () => {
        const { code, stderr } = await install('installed', '--node', file, '--dry-run');
        assert.equal(code, 69, stderr);
        assert.match(stderr, new RegExp(`^install: Node [0-9.]+ or newer is needed; ${said}\\.\n.*--node`));
        assert.equal(stderr.trimEnd().split('\n').length, 2);
      });
    }

    test('says what it waits for, and for how long, before an upgrade and a removal', async () => {
      const config = path.join(etc, 'agent.yaml');
      writeFileSync(config, readFileSync(config, 'utf8').replace(/^drain: \S+/m, 'drain: 90s'));
      for (const args of [dryRun, ['--uninstall', '--dry-run']]) {
        const { code, stdout, stderr } = await install('installed', ...args);
        assert.equal(code, 0, stderr);
        assert.match(stdout, /^install: (re)?st(art|op) mediator-runner\.service; it lets runs finish, for 90s at most/m);
      }
    });
  });
});
