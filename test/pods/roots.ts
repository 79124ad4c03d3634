/** Root folders of pods, made of programs of this machine with the libraries that they need. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../helpers/command.ts';
import { HOST, HOST_NAME, OTHER_NAME } from './network.ts';

export interface RootPlan {
  /** Programs from /usr/bin, with their libraries. `bash-static` becomes /bin/bash. */
  programs: string[];
  /** The file that is `bash-static`, if it is not that of this machine. */
  bash?: string;
  /** Busybox, and a link for each of its applets. */
  busybox?: boolean;
  /** What there is besides the root folder, as options of bubblewrap. */
  mounts: string[];
  /** PEM of authorities that the store of the pod has besides those of this machine; without it there is no store. */
  store?: string;
}

/** Programs of this machine that a pod wants, and that are not here. */
export function missingPrograms({ programs, busybox = false }: RootPlan): string[] {
  return [...programs, ...(busybox ? ['busybox'] : [])].filter((name) => findProgram(name) === undefined);
}

/** Fills an empty folder. */
export async function makeRoot(root: string, { programs, bash, busybox = false, mounts, store }: RootPlan): Promise<void> {
  const mountPoints = mounts.filter((option) => option.startsWith('/'));
  for (const folder of ['bin', 'stub', ...mountPoints]) mkdirSync(path.join(root, folder), { recursive: true, mode: 0o755 });
  for (const name of programs) await addProgram(root, name);
  if (bash !== undefined) copyFileSync(bash, path.join(root, 'bin/bash'));
  if (busybox) await addBusybox(root);
  if (store === undefined) return;
  mkdirSync(path.join(root, 'etc'), { mode: 0o755 });
  writeFileSync(path.join(root, 'etc/hosts'), `127.0.0.1 localhost\n${HOST} ${HOST_NAME} ${OTHER_NAME}\n`);
  writeFileSync(path.join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  await addStore(root, store);
}

async function addProgram(root: string, name: string): Promise<void> {
  const file = findProgram(name);
  assert.ok(file !== undefined, `${name} is not installed`);
  copyFileSync(file, path.join(root, 'bin', name === 'bash-static' ? 'bash' : name));
  for (const library of await librariesOf(file)) {
    const target = path.join(root, library);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
    if (!existsSync(target)) copyFileSync(realpathSync(library), target);
  }
}

/** Those that ldd names; none for a static program. */
async function librariesOf(file: string): Promise<string[]> {
  const { stdout } = await runCommand('ldd', [file]);
  return [...stdout.matchAll(/(?:=> |^\t)(\/\S+) \(0x/gm)].flatMap(([, library]) => library ?? []);
}

async function addBusybox(root: string): Promise<void> {
  await addProgram(root, 'busybox');
  const { stdout } = await runCommand('busybox', ['--list']);
  for (const applet of stdout.split('\n').filter(Boolean)) {
    const link = path.join(root, 'bin', applet);
    if (!existsSync(link)) symlinkSync('busybox', link);
  }
}

/** Where Debian's openssl and curl look for it. */
async function addStore(root: string, authorities: string): Promise<void> {
  const { stdout } = await runCommand('cat', ['/etc/ssl/certs/ca-certificates.crt']);
  for (const folder of ['etc/ssl/certs', 'usr/lib/ssl']) mkdirSync(path.join(root, folder), { recursive: true, mode: 0o755 });
  writeFileSync(path.join(root, 'etc/ssl/certs/ca-certificates.crt'), `${stdout}\n${authorities}\n`);
  symlinkSync('/etc/ssl/certs/ca-certificates.crt', path.join(root, 'usr/lib/ssl/cert.pem'));
  copyFileSync('/etc/ssl/openssl.cnf', path.join(root, 'etc/ssl/openssl.cnf'));
  symlinkSync('/etc/ssl/openssl.cnf', path.join(root, 'usr/lib/ssl/openssl.cnf'));
}

export function findProgram(name: string): string | undefined {
  return ['/usr/bin', '/bin', '/usr/sbin'].map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}
