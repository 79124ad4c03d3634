/** `keys.yaml`: who may call what. Read by the front; holds secrets, so nobody else may read the file. */
import path from 'node:path';
import { z } from 'zod';
import { KEY_ID, SECRET } from '../../protocol/auth.ts';
import { Failure } from '../../protocol/failures.ts';
import { HOSTS, type Call } from '../../protocol/messages.ts';
import { checkSecret } from './credentials.ts';
import { matchesGlob } from './glob.ts';
import { INTERPRETERS } from './interpreters.ts';
import { Network, isWithin } from './networks.ts';
import { readYamlFile, type Audit, type Parsed } from './yaml-file.ts';

/** The key of invocations over the Unix socket. It reads the runs of all keys, so that no stub may carry it. */
export const LOCAL_KEY = 'local';

/** Secrets that rotations have replaced, at most. Each costs a proof at every call. */
const PREVIOUS_MAX = 4;

const Secret = z.string().regex(new RegExp(`^${SECRET}$`), 'is not a secret: 32 to 64 letters, digits, dashes or underscores');

/** A moment, in milliseconds since the epoch. A date alone is its beginning, in UTC. */
export const Moment = z.string('must be a date, for instance 2027-01-31 or 2027-01-31T12:00:00Z').transform((text, context) => {
  const moment = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(moment)) return moment;
  context.addIssue({ code: 'custom', message: `"${text}" is not a date; write for instance 2027-01-31 or 2027-01-31T12:00:00Z` });
  return z.NEVER;
});

export const KeyId = z
  .string()
  .regex(new RegExp(`^${KEY_ID}$`), 'is not an id: 1 to 64 letters, digits, dots, dashes or underscores')
  .refine((id) => id !== LOCAL_KEY, `"${LOCAL_KEY}" stands for those who call over the Unix socket; choose another id`);

const Key = z.strictObject({
  id: KeyId,
  secret: Secret,
  description: z.string().max(1000).optional(),
  /** Globs over the name as it is called, with or without extension. */
  scripts: z.array(z.string()).default(['**']),
  /** Where the next four are missing, the key is not restricted. */
  networks: z.array(Network).optional(),
  hosts: z.array(z.enum(HOSTS)).optional(),
  events: z.array(z.string().min(1)).optional(),
  expires: Moment.optional(),
  /** Secrets that a rotation has replaced, each until its moment. */
  previous: z
    .array(z.strictObject({ secret: Secret, expires: Moment }))
    .max(PREVIOUS_MAX, `has more than ${PREVIOUS_MAX} secrets`)
    .optional(),
});
export type Key = z.output<typeof Key>;

export const KeysYaml = z.strictObject({ keys: z.array(Key) });

/** Ids that stand twice, also in a file that has other faults. */
export const findTwins: Audit = (data) => {
  const ids = z.object({ keys: z.array(z.object({ id: z.unknown() }).catch({ id: undefined })) }).safeParse(data).data?.keys ?? [];
  return ids.flatMap(({ id }, index) =>
    typeof id === 'string' && ids.findIndex((other) => other.id === id) < index
      ? [{ path: ['keys', index, 'id'], message: `"${id}" stands twice; give each key an id of its own` }]
      : [],
  );
};

/** Reads the keys; a file that others than its owner may read is refused, as ssh does. */
export function loadKeys(file: string): Parsed<Key[]> {
  const parsed = readYamlFile(file, KeysYaml, findTwins);
  const problems = [...(parsed.ok ? [] : parsed.problems), ...checkSecret(file)];
  return parsed.ok && problems.length === 0 ? { ok: true, value: parsed.value.keys } : { ok: false, problems };
}

/** The secrets that prove a key at this moment, its own first. */
export function secretsOf({ secret, previous = [] }: Key, now: number): string[] {
  return [secret, ...previous.filter(({ expires }) => now < expires).map((old) => old.secret)];
}

/** The key itself. @throws Failure `unauthorized` if it has expired, or may not be used from this address */
export function checkKey(key: Key, address: string, now: number): Key {
  const { id, expires, networks } = key;
  if (expires !== undefined && now >= expires) {
    const when = new Date(expires).toISOString();
    throw new Failure('unauthorized', `the key ${id} expired at ${when}; make another one, or set a later date in keys.yaml`);
  }
  if (networks === undefined || isWithin(networks, address)) return key;
  throw new Failure('unauthorized', `the key ${id} may not be used from ${address}; its networks are listed in keys.yaml`);
}

/** What a key's `scripts` must match for events, for which the tasks run that the operator has enabled. */
const EVENT_GRANT = 'event';

/** @throws Failure `not-allowed`, whether or not there is such a script */
export function checkGrant(key: Key, { script = EVENT_GRANT, host, event }: Call): void {
  const refuse = (what: string, field: string): Failure =>
    new Failure('not-allowed', `the key ${key.id} may not ${what}; its ${field} are listed in keys.yaml`);
  if (!mayCall(key, script)) throw refuse('call this script', 'scripts');
  if (key.hosts?.includes(host) === false) throw refuse(`call for the host ${host}`, 'hosts');
  if (key.events?.includes(event) === false) throw refuse(event === '' ? 'call without an event' : 'call for this event', 'events');
}

/** Whether a key may call a script by this name. `close-ticket` allows `close-ticket.py` too. */
export function mayCall(key: Key, script: string): boolean {
  const extension = path.extname(script);
  const stem = extension in INTERPRETERS ? script.slice(0, -extension.length) : script;
  return key.scripts.some((glob) => matchesGlob(glob, script) || matchesGlob(glob, stem));
}
