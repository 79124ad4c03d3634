/** What systemd or Kubernetes hands over in $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential=; container/README.md) takes the place of files that only root can read. */
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';
import { checkMode } from './modes.ts';
import type { Problem } from './yaml-file.ts';

/** The file itself, or what was handed over under the name that it has without its folders. @throws Failure if it is neither */
export function credentialOr(file: string): string {
  const folder = process.env.CREDENTIALS_DIRECTORY;
  if (folder === undefined) return file;
  const name = path.basename(file);
  const handed = path.join(folder, name);
  if (existsSync(handed)) return handed;
  try {
    accessSync(file, constants.R_OK);
    return file;
  } catch (cause) {
    const remedy = `add LoadCredential=${name}:${file} to [Service] by "systemctl edit mediator-front", and restart it`;
    throw new Failure('internal', `${file} cannot be read; ${remedy}`, { cause });
  }
}

/**
 * Who else may read a file of secrets. Nobody; but what was handed over may look readable by a group: systemd's has an access control list for one
 * user, and that of a Kubernetes Secret belongs to root and is read by the group of its pod. The world may read neither, nor any group write.
 */
export function checkSecret(file: string): Problem[] {
  return path.dirname(file) === process.env.CREDENTIALS_DIRECTORY
    ? checkMode(file, 0o037, 'holds secrets (a volume of a Kubernetes Secret needs defaultMode: 0440)', '440')
    : checkMode(file, 0o077, 'holds secrets', '600');
}
