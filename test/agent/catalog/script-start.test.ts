import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fingerprintOf } from '../../../agent/catalog/contents.ts';
import { ScriptStart } from '../../../agent/catalog/script-start.ts';
import { startAgent, type TestAgent } from '../../helpers/agent.ts';
import { newFolder } from '../../helpers/folder.ts';
import { dial, startMessage } from '../../helpers/stub.ts';
import { until } from '../../helpers/wait.ts';

suite('a script is written to as it is started', () => {
  const folder = newFolder();
  after(() => rmSync(folder, { recursive: true }));
  let count = 0;

  function started(): { start: ScriptStart; file: string; other: string } {
    count += 1;
    const file = path.join(folder, `${count}.sh`);
    const other = path.join(folder, `${count}.new`);
    writeFileSync(file, 'old');
    writeFileSync(other, 'new');
    for (const left of [file, other]) utimesSync(left, 1, 1); // long ago
    const stats = statSync(file, { bigint: true });
    return { start: new ScriptStart({ file, version: `${fingerprintOf(stats)} ` }, 0), file, other };
  }

  const written: Record<string, (file: string, other: string) => void> = {
    'in place': (file) => writeFileSync(file, 'new'),
    'in place, with the old size': (file) => writeFileSync(file, 'neu'),
    'by cp -p': (file, other) => {
      copyFileSync(other, file);
      utimesSync(file, 2, 2);
    },
    'under the old name, after the old one was moved away': (file) => {
      renameSync(file, `${file}~`);
      writeFileSync(file, '');
    },
  };
  for (const [how, write] of Object.entries(written)) {
    test(how, () => {
      const { start, file, other } = started();
      write(file, other);
      assert.equal(start.overwritten(), true);
    });
  }

  const whole: Record<string, (file: string) => void> = {
    'by nobody': () => undefined,
    'only its mode was changed': (file) => chmodSync(file, 0o755),
    'it was removed': (file) => rmSync(file),
  };
  for (const [how, change] of Object.entries(whole)) {
    test(`not: ${how}`, () => {
      const { start, file } = started();
      change(file);
      assert.equal(start.overwritten(), false);
    });
  }

  test('not: one that was finished before has taken its place', () => {
    const finished = path.join(folder, 'finished');
    writeFileSync(finished, 'new');
    const { birthtimeMs, mtimeMs } = statSync(finished);
    const later = Math.max(birthtimeMs, mtimeMs) + 1000;
    const { file } = started();
    const version = `${fingerprintOf(statSync(file, { bigint: true }))} `;
    const start = new ScriptStart({ file, version }, 0, later);
    renameSync(finished, file);
    assert.equal(start.overwritten(), false);
  });

  suite('and the agent', () => {
    let agent: TestAgent;
    before(async () => {
      agent = await startAgent({ settings: { settle: '5s' } });
    });
    after(() => agent.close());

    test('does not call it a success', async () => {
      const gate = path.join(agent.dir, 'gate');
      const interpreter = path.join(agent.dir, 'slow-bash');
      writeFileSync(interpreter, `#!/bin/bash\n: >${gate}.reached\nuntil [[ -e ${gate} ]]; do sleep 0.01; done\nexec /bin/bash "$@"\n`, {
        mode: 0o755,
      });
      const file = agent.script('probe.sh', 'echo whole\n');
      writeFileSync(path.join(agent.scripts, 'probe.yaml'), `interpreter: [${interpreter}]\n`);
      const call = await dial(agent);
      call.send(startMessage({ script: 'probe' }));
      call.send({ type: 'end', stdin: 0 });
      await until('the interpreter is about to read it', () => existsSync(`${gate}.reached`));
      writeFileSync(file, '');
      writeFileSync(gate, '');
      const terminal = await call.terminal();
      assert.deepEqual([terminal.outcome, terminal.code, call.stdout.length], ['lost', 125, 0]);
      assert.match(terminal.message, /was written to as it was started/);
      await call.ack();
    });
  });
});
