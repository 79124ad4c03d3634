/** Keys of an agent whose front was handed a copy of keys.yaml, as systemd does it by LoadCredential=. `systemctl` is played by a script. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, suite, test } from 'node:test';
import { assertCalled, assertRefused, makeStub, type Stub } from '../../e2e/stubs.ts';
import { prepareAgent, type TestAgent } from '../../helpers/agent.ts';
import type { Result } from '../../helpers/command.ts';
import { newFolder } from '../../helpers/folder.ts';

const BY_ROOT = { skip: process.getuid?.() !== 0 && 'needs root' };

suite('keys of a front that was handed a copy of keys.yaml', () => {
  const place = newFolder();
  const [handed, tools, called] = [path.join(place, 'credentials'), path.join(place, 'tools'), path.join(place, 'called')];
  let agent: TestAgent;

  before(async () => {
    agent = await prepareAgent({ env: { CREDENTIALS_DIRECTORY: handed } });
    for (const folder of [handed, tools]) mkdirSync(folder);
    handOver();
    chmodSync(path.join(handed, 'keys.yaml'), 0o440);
    await agent.start();
    agent.script('hello.sh', 'echo hello\n');
  });
  after(async () => {
    await agent.close();
    rmSync(place, { recursive: true });
  });
  beforeEach(() => {
    handOver();
    rmSync(called, { force: true });
    systemctl({});
  });

  function handOver(): void {
    copyFileSync(path.join(agent.dir, 'keys.yaml'), path.join(handed, 'new'));
    renameSync(path.join(handed, 'new'), path.join(handed, 'keys.yaml'));
  }

  /** @param reload what `systemctl reload` does */
  function systemctl({
    state = 'active',
    reload = `cp '${agent.dir}/keys.yaml' '${handed}/new' && mv '${handed}/new' '${handed}/keys.yaml'`,
  }): void {
    const shown = `LoadState=loaded\nActiveState=${state}\nSubState=x\nExecStart={ argv[]=node front --config ${agent.config} ; }`;
    const source = `#!/bin/bash\nif [[ $1 == show ]]; then echo '${shown}'; else echo "$*" >>'${called}'\n${reload}\nfi\n`;
    writeFileSync(path.join(tools, 'systemctl'), source, { mode: 0o755 });
  }

  function command(words: string[], args: string[] = []): Promise<Result> {
    return agent.command(words, args, { env: { PATH: `${tools}:${process.env.PATH ?? ''}` } });
  }

  async function change(words: string[], args: string[] = []): Promise<Result> {
    const result = await command(['keys', ...words], args);
    assert.equal(result.code, 0, result.stderr);
    return result;
  }

  const stubOf = (id: string, folder = id): Promise<Stub> =>
    makeStub(agent, { url: 'ws', name: `${folder}/mediator.sh`, options: ['--key', id] });

  async function doctor(): Promise<string> {
    const { code, stdout } = await command(['doctor']);
    assert.equal(code, 1);
    return stdout;
  }

  test('are in force at once after each command by root, which says so', BY_ROOT, async () => {
    assert.match((await change(['create', 'a'])).stderr, /^in force: mediator-front has reloaded$/m);
    const old = await stubOf('a');
    assertCalled(await old.call(['hello']), { stdout: 'hello\n' });
    assert.match((await change(['rotate', 'a'], ['--overlap', '1h'])).stderr, /^in force: /m);
    const current = await stubOf('a', 'new');
    for (const stub of [old, current]) assertCalled(await stub.call(['hello']), { stdout: 'hello\n' });
    assert.match((await change(['revoke', 'a'], ['--previous'])).stderr, /^in force: /m);
    assertRefused(await old.call(['hello']), 77);
    assert.match((await change(['revoke', 'a'])).stderr, /^in force: /m);
    assertRefused(await current.call(['hello']), 77);
  });
  test('are not touched by --no-reload, which says what is to be run', async () => {
    assert.match((await change(['create', 'b'], ['--no-reload'])).stderr, /^not in force yet; run: sudo systemctl reload mediator-front$/m);
    assert.ok(!existsSync(called));
    systemctl({ state: 'inactive' });
    assert.match((await change(['revoke', 'b'])).stderr, /^in force once mediator-front is started: /m);
    assert.ok(!existsSync(called));
  });
  test('are said not to be in force if the reload fails, or changes nothing; the exit code is 1', BY_ROOT, async () => {
    systemctl({ reload: 'echo "Job for mediator-front.service failed." >&2; exit 1' });
    const failed = await command(['keys', 'create', 'c']);
    assert.match(failed.stderr, /^NOT in force: .*Job for mediator-front\.service failed\.; journalctl -u mediator-front/m);
    systemctl({ reload: 'true' });
    const idle = await command(['keys', 'revoke', 'c']);
    handOver();
    const late = await command(['keys', 'create', 'd']);
    assert.match(late.stderr, /^NOT in force: .*the key d is in keys\.yaml and not in force/m);
    assert.deepEqual([failed.code, idle.code, late.code], [1, 0, 1], 'the front had never heard of c');
    await change(['revoke', 'd']);
  });
  test('give --json one object on stdout, and the secret only if it was asked for', async () => {
    const asked = ['--json', '--no-reload'];
    assert.deepEqual(JSON.parse((await change(['create', 'e'], asked)).stdout), { id: 'e', change: 'created', in_force: false });
    const rotated: unknown = JSON.parse((await change(['rotate', 'e'], [...asked, '--show-secret'])).stdout);
    assert.ok(typeof rotated === 'object' && rotated !== null && 'secret' in rotated && 'previous_until' in rotated);
    assert.deepEqual(JSON.parse((await change(['revoke', 'e'], asked)).stdout), { id: 'e', change: 'revoked', in_force: false });
  });
  test('that differ from those in force are failures of doctor, each with what is to be run', async () => {
    for (const id of ['stale', 'turned', 'halved', 'wider']) await change(['create', id], ['--no-reload']);
    await change(['rotate', 'halved'], ['--no-reload']);
    handOver();
    assert.doesNotMatch((await command(['doctor'])).stdout, /in force/);
    await change(['create', 'fresh'], ['--no-reload']);
    await change(['revoke', 'stale'], ['--no-reload']);
    await change(['rotate', 'turned'], ['--no-reload']);
    await change(['revoke', 'halved'], ['--no-reload', '--previous']);
    const file = path.join(agent.dir, 'keys.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('id: wider', 'id: wider\n    scripts: [hello]'));
    const said = await doctor();
    for (const what of [
      'the key fresh is in keys\\.yaml and not in force, so that its stubs are refused',
      'the key stale is not in keys\\.yaml any more, and still in force',
      'the key turned has a new secret in keys\\.yaml that is not in force, so that its new stubs are refused',
      'a replaced secret of the key halved is not in keys\\.yaml any more, and still in force',
      'what the key wider may do was changed in keys\\.yaml, and the change is not in force',
    ])
      assert.match(said, new RegExp(`^FAIL .*keys\\.yaml: ${what}; run: sudo systemctl reload mediator-front$`, 'm'));
  });
});
