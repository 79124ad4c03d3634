/** What `systemctl reload` tells its caller: systemd/reload, as both units call it, and real parts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { ROOT, runCommand, type Result } from '../helpers/command.ts';
import { newFolder } from '../helpers/folder.ts';

suite('a reload by systemd', () => {
  let agent: TestAgent;
  const folder = newFolder();
  const pipe = path.join(folder, 'reloaded');
  before(async () => {
    execFileSync('mkfifo', [pipe]);
    agent = await startAgent({ env: { MEDIATOR_RELOAD_FIFO: pipe } });
  });
  after(async () => {
    await agent.close();
    rmSync(folder, { recursive: true });
  });

  const reload = (part: 'front' | 'runner'): Promise<Result> =>
    runCommand(path.join(ROOT, 'systemd/reload'), [pipe], { env: { MAINPID: String(agent.part(part)) } });

  for (const part of ['front', 'runner'] as const) {
    test(`succeeds when the ${part} has reloaded, also after a HUP that nobody waited for`, async () => {
      await agent.reload();
      assert.deepEqual(await reload(part), { code: 0, stdout: '', stderr: '' });
    });

    test(`fails when the ${part} has refused it, and says why`, async () => {
      const config = readFileSync(agent.config);
      writeFileSync(agent.config, 'names: []\ncolour: blue\n');
      const { code, stderr } = await reload(part);
      writeFileSync(agent.config, config);
      assert.equal(code, 1);
      assert.match(stderr, /^nothing was reloaded, the settings stay as they were: .*agent\.yaml:2: colour/);
      assert.equal((await reload(part)).code, 0);
    });
  }

  test('fails when the part ends over it', async () => {
    const program = 'sleep 1000 & exec env MAINPID=$! "$0" "$1"'; // HUP ends it
    const { code, stderr } = await runCommand('bash', ['-c', program, path.join(ROOT, 'systemd/reload'), pipe]);
    assert.equal(code, 1);
    assert.equal(stderr, 'it ended before it had reloaded\n');
  });
});
