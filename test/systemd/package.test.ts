/** The release archive: what is in it, and that it works without the repository. What install.sh makes of it, on a machine with systemd, is shown by booted.ts. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tmpdir } from 'node:os';
import { after, suite, test } from 'node:test';
import { z } from 'zod';
import { ROOT, runCommand } from '../helpers/command.ts';
import { soon } from '../helpers/wait.ts';

const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')));
const name = `mediator-agent-${version}`;

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
    assert.ok(!readFileSync(path.join(home, 'agent/bundle/mediator-agent.js'), 'utf8').includes(ROOT));
  });

  test('cannot be told to crash: the variable by which tests do that is not in it', () => {
    assert.ok(readFileSync(path.join(ROOT, 'agent/process/crash-point.ts'), 'utf8').includes('MEDIATOR_CRASH_FILE'));
    assert.ok(!readFileSync(path.join(home, 'agent/bundle/mediator-agent.js'), 'utf8').includes('MEDIATOR_CRASH_FILE'));
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
});
