/**
 * Scripts are changed by the tools that people use, while calls go on: each call runs a whole version, or is refused and told why. The script says
 * its version at its beginning and at its end, with much in between.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../../helpers/agent.ts';
import { runCommand } from '../../helpers/command.ts';
import { invoke } from '../../helpers/stub.ts';
import { soon } from '../../helpers/wait.ts';

/** What refuses a call for a moment: it is being written, it is not there, it cannot be started. */
const REFUSALS = [75, 126, 127];
/** What vim ends with where it could not write, or one more; without being told to end, it would wait for commands. */
const VIM_GAVE_UP = 2;

suite('a script that is changed while calls go on', () => {
  let agent: TestAgent;
  let version = 0;
  before(async () => {
    agent = await startAgent({ settings: { settle: '500ms' } });
    put(agent.script('area/probe.sh', sourceOf(0)), 0);
  });
  after(() => agent.close());

  const inArea = (name = 'probe.sh'): string => path.join(agent.scripts, 'area', name);
  const aside = (name: string): string => path.join(agent.dir, name);

  function put(file: string, number: number): string {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, sourceOf(number), { mode: 0o755 });
    return file;
  }

  /** One call. Its version, or undefined if it was refused. */
  async function call(script: string): Promise<number | undefined> {
    const { terminal, stdout, stderr } = await invoke(agent, { script });
    if (terminal.code === 125) {
      assert.match(terminal.message, /was written to as it was started/);
      return undefined;
    }
    if (stdout.length === 0) {
      assert.ok(REFUSALS.includes(terminal.code), JSON.stringify(terminal));
      assert.match(terminal.message + stderr.toString(), /./);
      return undefined;
    }
    const [, first, last] = /^begin (\d+)\nend (\d+)\n$/.exec(stdout.toString()) ?? [];
    assert.ok(
      first !== undefined && first === last && terminal.code === 0,
      `half a script ran: ${stdout.toString()} ${JSON.stringify(terminal)}`,
    );
    return Number(first);
  }

  /** Calls without a pause, two at a time, until the version is the new one. */
  async function callUntil(script: string, wanted: number): Promise<void> {
    const caller = async (): Promise<void> => {
      let last = -1;
      while (last !== wanted) {
        const now = await call(script);
        if (now === undefined) continue;
        assert.ok(now >= last, `version ${now} came after ${last}`);
        last = now;
      }
    };
    await Promise.all([caller(), caller()]);
  }

  /** While the kernel starts a script, nobody may write to it (execve(2), ETXTBSY): whoever is told so tries again. */
  async function tool(command: string, ...args: string[]): Promise<void> {
    for (;;) {
      const { code, stderr } = await runCommand(command, args, { cwd: agent.scripts, env: { HOME: agent.dir, LC_ALL: 'C' } });
      if (code === 0) return;
      assert.ok(
        stderr.includes('Text file busy') || (command === 'vim' && (code === VIM_GAVE_UP || code === VIM_GAVE_UP + 1)),
        `${command}: ${code} ${stderr}`,
      );
    }
  }

  const vim = (backupcopy: string) => (number: number) => {
    const commands = [`set backupcopy=${backupcopy}`, `%s/\\(begin\\|end\\) \\d\\+$/\\1 ${number}/`, 'wq', `cquit! ${VIM_GAVE_UP}`];
    return tool('vim', ...['-N', '-u', 'NONE', '-i', 'NONE', '-es'], ...commands.flatMap((command) => ['-c', command]), inArea());
  };

  /** By hand: it needs a terminal, and takes keys once it has drawn. What is on the disk is the version before. */
  const nano = (option: string) => async (number: number) => {
    const [replace, save, leave] = ['\u001c', '\u000f', '\u0018'];
    // Where it could not write, it asks whether to save before it leaves: no, and once more from the beginning.
    const keys = `${replace} ${number - 1}\r ${number}\ra${save}\r${leave}n`;
    while (!readFileSync(inArea(), 'utf8').endsWith(`end ${number}\n`)) {
      const command = `nano --ignorercfiles ${option} ${inArea()}`;
      const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, TERM: 'xterm', HOME: agent.dir } });
      const exit = once(child, 'exit');
      let drawn = '';
      child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
        if (!drawn.includes('nano') && (drawn += chunk).includes('nano')) child.stdin.write(keys);
      });
      child.stdin.on('error', () => undefined);
      await soon('the end of nano', exit);
    }
  };

  const replacing: Record<string, (number: number) => Promise<void>> = {
    mv: (number) => tool('mv', put(aside('new.sh'), number), inArea()),
    'sed -i': (number) => tool('sed', '-i', `s/\\(begin\\|end\\) [0-9]*$/\\1 ${number}/`, inArea()),
    rsync: (number) => tool('rsync', '-It', put(aside('probe.sh'), number), inArea()),
    'rm -r of the folder, and cp -r': async (number) => {
      put(path.join(aside('copy'), 'probe.sh'), number);
      await tool('rm', '-r', inArea('.'));
      await tool('cp', '-r', aside('copy'), path.join(agent.scripts, 'area'));
    },
  };
  for (const [name, change] of Object.entries(replacing)) {
    test(`by ${name}: all calls run a whole version`, async () => {
      version += 1;
      await Promise.all([callUntil('area/probe', version), change(version)]);
    });
  }

  /** They write under the name that is called. A call that is being started at that moment may read what is there, and is told so. */
  const overwriting: Record<string, (number: number) => Promise<void>> = {
    cp: (number) => tool('cp', put(aside('new.sh'), number), inArea()),
    'rsync --inplace': (number) => tool('rsync', '--inplace', '-It', put(aside('probe.sh'), number), inArea()),
    'vim with backupcopy=yes': vim('yes'),
    'vim with backupcopy=no': vim('no'),
    nano: nano(''),
    'nano --backup': nano('--backup'),
    'a slow writer': (number) => {
      copyFileSync(put(aside('new.sh'), number), aside('slow.sh'));
      return tool('bash', '-c', 'while IFS= read -r line; do printf "%s\\n" "$line"; done <"$1" >"$2"', 'slow', aside('slow.sh'), inArea());
    },
  };
  for (const [name, change] of Object.entries(overwriting)) {
    test(`by ${name}: all calls run a whole version, or it is not known`, async () => {
      version += 1;
      await Promise.all([callUntil('area/probe', version), change(version)]);
    });
  }

  test('by git pull: all calls run a whole version, or it is not known', async () => {
    const git = (...args: string[]) => tool('git', '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args);
    const origin = aside('origin');
    const commit = async (number: number): Promise<void> => {
      put(path.join(origin, 'probe.sh'), number);
      await git('-C', origin, 'add', '.');
      await git('-C', origin, 'commit', '-qm', String(number));
    };
    mkdirSync(origin);
    await git('-C', origin, 'init', '-q');
    await commit(1);
    await git('clone', '-q', origin, path.join(agent.scripts, 'cloned'));
    await callUntil('cloned/probe', 1);
    for (const next of [2, 3]) {
      await commit(next);
      await Promise.all([callUntil('cloned/probe', next), git('-C', path.join(agent.scripts, 'cloned'), 'pull', '-q')]);
    }
  });

  test('by another folder behind a link (ln -sfn): all calls run a whole version', async () => {
    for (const number of [1, 2, 3]) put(path.join(agent.scripts, `releases/${number}/probe.sh`), number);
    for (const number of [1, 2, 3]) {
      await Promise.all([callUntil('live/probe', number), tool('ln', '-sfn', `releases/${number}`, 'live')]);
    }
  });

  test('is not found any more when its folder was removed, and is again when it is back', async () => {
    rmSync(inArea('.'), { recursive: true });
    const { terminal } = await invoke(agent, { script: 'area/probe' });
    assert.equal(terminal.code, 127);
    version += 1;
    put(inArea(), version);
    await callUntil('area/probe', version);
  });
});

/** 200 kB, which bash reads piece by piece. */
function sourceOf(version: number): string {
  const filler = `: ${'x'.repeat(97)}\n`.repeat(2000);
  return `#!/bin/bash\necho begin ${version}\n${filler}echo end ${version}\n`;
}
