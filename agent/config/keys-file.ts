/** Changes of `keys.yaml` by commands: in one step, so that nobody ever reads half of it, and with the comments that people have written. */
import { randomBytes } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { isMap, isSeq, parseDocument, type Document, type YAMLSeq } from 'yaml';
import { Failure } from '../../protocol/failures.ts';
import { KeysYaml, findTwins, loadKeys, type Key } from './keys.ts';
import { replaceFile } from './replace-file.ts';
import { formatProblem, parseYaml } from './yaml-file.ts';

/** What a new key may call, as in keys.yaml. */
export interface KeyFields {
  description?: string | undefined;
  scripts?: string[] | undefined;
  networks?: string[] | undefined;
  hosts?: string[] | undefined;
  events?: string[] | undefined;
  expires?: string | undefined;
}

/** @returns its secret. @throws Failure if there is such a key, or a field is not what it should be */
export function createKey(file: string, id: string, fields: KeyFields): string {
  const secret = newSecret();
  edit(file, (document, keys) => {
    if (keys.some((key) => key.id === id))
      throw new Failure('internal', `there is a key ${id} already; choose another id, or: keys rotate ${id}`);
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    const node = document.createNode({ id, secret, ...given });
    for (const { value } of isMap(node) ? node.items : []) if (isSeq(value)) value.flow = true;
    listOf(document).add(node);
  });
  return secret;
}

/** Gives a key a new secret; the old one proves it, too, until `until`, in milliseconds since the epoch. @returns the new secret */
export function rotateKey(file: string, id: string, until: number): string {
  const secret = newSecret();
  const now = Date.now();
  edit(file, (document, keys) => {
    const index = find(file, keys, id);
    const key = keys[index];
    const kept = [{ secret: key?.secret ?? '', expires: until }, ...(key?.previous ?? [])].filter(({ expires }) => now < expires);
    document.setIn(['keys', index, 'secret'], secret);
    setPrevious(document, index, kept);
  });
  return secret;
}

/** Removes a key or, with `previous`, only the secrets that rotations have replaced. */
export function revokeKey(file: string, id: string, { previous }: { previous: boolean }): void {
  edit(file, (document, keys) => {
    const index = find(file, keys, id);
    if (previous) setPrevious(document, index, []);
    else document.deleteIn(['keys', index]);
  });
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

function find(file: string, keys: Key[], id: string): number {
  const index = keys.findIndex((key) => key.id === id);
  if (index >= 0) return index;
  const known = keys.map((key) => key.id).join(', ');
  throw new Failure('internal', `${file} has no key "${id}"; ${known === '' ? 'it has none at all' : `it has: ${known}`}`);
}

function setPrevious(document: Document, index: number, kept: NonNullable<Key['previous']>): void {
  const field = ['keys', index, 'previous'];
  const previous = kept.map(({ secret, expires }) => ({ secret, expires: new Date(expires).toISOString() }));
  if (previous.length > 0) document.setIn(field, document.createNode(previous));
  else document.deleteIn(field);
}

function listOf(document: Document): YAMLSeq {
  const list = document.getIn(['keys']);
  if (!isSeq(list)) throw new Failure('internal', 'keys is not a list');
  list.flow = false;
  return list;
}

/** Reads, changes, checks and replaces the file. A second command at the same moment is told to try again. */
function edit(name: string, change: (document: Document, keys: Key[]) => void): void {
  const file = realpathSync(name);
  replaceFile(file, { mode: 0o600, keepOwner: true, busy: 'changes the keys' }, () => {
    const loaded = loadKeys(file);
    if (!loaded.ok) throw new Failure('internal', loaded.problems.map(formatProblem).join('; '));
    const document = parseDocument(readFileSync(file, 'utf8'));
    change(document, loaded.value);
    const text = document.toString({ lineWidth: 0, flowCollectionPadding: false });
    const parsed = parseYaml(file, text, KeysYaml, findTwins);
    if (parsed.ok) return text;
    throw new Failure(
      'internal',
      parsed.problems.map(({ field, message }) => `${field.replace(/^keys\.\d+\./, '')}: ${message}`).join('; '),
    );
  });
}
