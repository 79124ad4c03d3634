/** The token of the admin listener: one line in a file that nobody else may read. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Failure } from '../../protocol/failures.ts';
import { checkSecret, credentialOr } from '../config/credentials.ts';
import { formatProblem } from '../config/yaml-file.ts';

/** As many characters as 192 random bits need. */
const SHORTEST = 32;

/** @throws Failure if the file cannot be read, or others may read it */
export function readToken(file: string): string {
  const source = credentialOr(file);
  const token = readFileSync(source, 'utf8').trim();
  const [problem] = checkSecret(source);
  if (problem !== undefined) throw new Failure('internal', formatProblem(problem));
  if (token.length >= SHORTEST && !/\s/.test(token)) return token;
  throw new Failure('internal', `${source}: is not one line of at least ${SHORTEST} characters; run: openssl rand -hex 32 >${source}`);
}

export function writeToken(file: string): void {
  writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
}
