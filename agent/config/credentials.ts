/** What systemd hands over (systemd.exec(5), LoadCredential=) takes the place of files that only root can read. */
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';
import { Failure } from '../../protocol/failures.ts';

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

/** Whether systemd guards the file. Its mode then says nothing: with an access control list for one user, it looks readable by a group. */
export function isCredential(file: string): boolean {
  return path.dirname(file) === process.env.CREDENTIALS_DIRECTORY;
}
