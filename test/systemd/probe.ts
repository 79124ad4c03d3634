/** Started in the sandbox of the front: tries to execute things, and prints what became of each. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PROGRAMS = ['/bin/sh', '/bin/bash', '/usr/bin/env', '/usr/bin/python3', '/usr/bin/openssl', '/usr/bin/systemd-notify'];
/** Where the front may write, or could think so. */
const FOLDERS = [process.env.STATE_DIRECTORY ?? '', '/tmp', '/var/tmp', '/dev/shm'];
const LOADERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'];
const LIBRARIES = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'];
const EXPECTED = [...LIBRARIES, '/usr/lib64', process.execPath];

const report: Record<string, string> = { Node: attempt(process.execPath, ['--eval', '0']) };
for (const program of PROGRAMS) report[program] = attempt(program, ['--version']);
for (const loader of LOADERS.filter((file) => existsSync(file))) report[loader] = attempt(loader, ['/bin/sh', '-c', 'exit 0']);
report['a script of ours'] = attempt('/opt/mediator-agent/current/systemd/notifying', ['/bin/true']);
for (const folder of FOLDERS) {
  const program = path.join(folder, 'program');
  const script = path.join(folder, 'script');
  const library = path.join(folder, 'library');
  copyFileSync(process.execPath, program);
  writeFileSync(script, `#!${process.execPath}\n`, { mode: 0o755 });
  copyFileSync(libm(), library);
  report[program] = attempt(program, ['--eval', '0']);
  report[script] = attempt(script, []);
  report[library] = load(library);
}
for (const mount of executableMounts()) report[`mount ${mount}`] = 'executable';
for (const [what, became] of Object.entries(report)) console.log(`${became}: ${what}`);

function attempt(file: string, args: string[]): string {
  const { error, status } = spawnSync(file, args);
  if (error !== undefined) return 'code' in error && error.code === 'EACCES' ? 'refused' : error.message;
  // The loader itself may run: what it is to load may not.
  return status === 127 ? 'refused' : status === 0 ? 'done' : `exit code ${status}`;
}

function load(file: string): string {
  try {
    process.dlopen({ exports: {} }, file);
    return 'done';
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    return message.includes('failed to map segment') ? 'refused' : message;
  }
}

/** Any library that Node has, too. */
function libm(): string {
  const folder = LIBRARIES.find((each) => existsSync(each)) ?? '/usr/lib64';
  return path.join(folder, readdirSync(folder).find((name) => name.startsWith('libm.so')) ?? '');
}

/** Where programs could be executed. proc(5): id parent major:minor root mount-point options … */
function executableMounts(): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter(Boolean);
  // The last one at a place hides the others.
  const options = new Map(mounts.map((line) => line.split(' ')).map(([, , , , mount = '', said = '']) => [mount, said.split(',')]));
  const executable = [...options.keys()].filter((mount) => !options.get(mount)?.includes('noexec') && !EXPECTED.includes(mount));
  return executable.filter(isOpenToUs);
}

/** What systemd and the container have for themselves is not. */
function isOpenToUs(mount: string): boolean {
  try {
    accessSync(mount, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
