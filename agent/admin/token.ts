/** The token of the admin listener: one line in a file that nobody else may read. */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';
import { credentialOr, isCredential } from '../config/credentials.ts';

/** As many characters as 192 random bits need. */
const SHORTEST = 32;

/** @throws Failure if the file cannot be read, or others may read it */
export function readToken(file: string): string {
  const source = credentialOr(file);
  const token = readFileSync(source, 'utf8').trim();
  const mode = statSync(source).mode & 0o777;
  if ((mode & 0o077) !== 0 && !isCredential(source)) {
    throw new Failure('internal', `${source}: has mode 0${mode.toString(8)} and holds a secret; run: chmod 600 ${source}`);
  }
  if (token.length >= SHORTEST && !/\s/.test(token)) return token;
  throw new Failure('internal', `${source}: is not one line of at least ${SHORTEST} characters; run: openssl rand -hex 32 >${source}`);
}

export function writeToken(file: string): void {
  writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
}
