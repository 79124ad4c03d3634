/** Who could have written what we are about to run? Strict about ownership and modes, as sshd is about `authorized_keys` (sshd_config(5), StrictModes). */
import { realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';

const WRITABLE_BY_OTHERS = 0o022;

/**
 * The file itself and, where it is a link, the folder that the link is in: both must be ours alone.
 * @param folder the scripts folder
 * @param name path below it
 * @throws Failure `outside-folder` or `unsafe-script`
 */
export function checkPlace(folder: string, name: string): void {
  const file = path.join(folder, name);
  const root = realpathSync(folder);
  const real = realpathSync(file);
  const parent = realpathSync(path.dirname(file));
  if (!`${real}/`.startsWith(`${root}/`) || !`${parent}/`.startsWith(`${root}/`)) {
    throw new Failure('outside-folder', `${name} is a symbolic link that leads out of the scripts folder; copy the file instead`);
  }
  checkTrust(root, real);
  if (parent !== path.dirname(real)) checkTrust(root, parent);
}

/**
 * Checks a file and every folder from it up to the scripts folder.
 * @param root real path of the scripts folder
 * @param file real path below it
 * @throws Failure `unsafe-script`, with the command that mends it
 */
export function checkTrust(root: string, file: string): void {
  const owners = new Set([0, process.geteuid?.() ?? 0, statSync(root).uid]);
  for (let current = file; ; current = path.dirname(current)) {
    checkOne(current, statSync(current), owners);
    if (current === root || current === path.dirname(current)) return;
  }
}

function checkOne(name: string, { mode, uid }: Stats, owners: Set<number>): void {
  if ((mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new Failure('unsafe-script', `${name} is writable by others (mode 0${(mode & 0o7777).toString(8)}); run: chmod go-w '${name}'`);
  }
  if (!owners.has(uid)) {
    throw new Failure(
      'unsafe-script',
      `${name} belongs to user ${uid}, who is neither root, the agent, nor the owner of the scripts folder; run: chown root '${name}'`,
    );
  }
}
