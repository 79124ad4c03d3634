/**
 * Whether the front has the keys that keys.yaml has. It asks the file at every call, unless it was handed a copy ($CREDENTIALS_DIRECTORY): then changes
 * wait until somebody hands it another one. That copy is what we look at, where we may.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.ts';
import { KeysYaml, findTwins, type Key } from '../config/keys.ts';
import { readYamlFile } from '../config/yaml-file.ts';
import { environmentOf, findPart } from './doctor/processes.ts';

/** The unit of systemd. */
export const FRONT = 'mediator-front';
export const RELOAD = `sudo systemctl reload ${FRONT}`;

/** A sentence for each key that is another one in the front, or is in one of both alone. Undefined if that is not to be found out. */
export function keysNotInForce({ file, keys }: Config): string[] | undefined {
  const pid = findPart('front', file);
  const folder = pid === undefined ? undefined : environmentOf(pid).get('CREDENTIALS_DIRECTORY');
  const handed = `/proc/${pid ?? ''}/root${folder ?? ''}/${path.basename(keys)}`;
  if (folder === undefined || !existsSync(handed)) return undefined;
  const [wanted, held] = [keys, handed].map((name) => readYamlFile(name, KeysYaml, findTwins)); // modes of the copy are its giver's affair
  return wanted?.ok === true && held?.ok === true ? differences(wanted.value.keys, held.value.keys) : undefined;
}

function differences(wanted: Key[], held: Key[]): string[] {
  const inForce = new Map(held.map((key) => [key.id, key]));
  const changed = wanted.flatMap((key) => difference(key, inForce.get(key.id)) ?? []);
  const gone = held.filter(({ id }) => !wanted.some((key) => key.id === id));
  return [...changed, ...gone.map(({ id }) => `the key ${id} is not in keys.yaml any more, and still in force`)];
}

function difference(key: Key, held: Key | undefined): string | undefined {
  const { id } = key;
  if (held === undefined) return `the key ${id} is in keys.yaml and not in force, so that its stubs are refused`;
  if (key.secret !== held.secret)
    return `the key ${id} has a new secret in keys.yaml that is not in force, so that its new stubs are refused`;
  if (isDeepStrictEqual(key, held)) return undefined;
  const revoked = (key.previous?.length ?? 0) < (held.previous?.length ?? 0);
  return revoked
    ? `a replaced secret of the key ${id} is not in keys.yaml any more, and still in force`
    : `what the key ${id} may do was changed in keys.yaml, and the change is not in force`;
}
