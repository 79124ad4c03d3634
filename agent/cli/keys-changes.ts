/** `keys create`, `rotate`, `revoke`: each changes keys.yaml, and sees to it that the change comes into force. */
import { Failure } from '../../protocol/failures.ts';
import type { Config } from '../config/config.ts';
import { loadKeys } from '../config/keys.ts';
import { createKey, revokeKey, rotateKey, type KeyFields } from '../config/keys-file.ts';
import { Age } from '../config/units.ts';
import { runTool } from '../process/execute.ts';
import { unitOf } from './doctor/units.ts';
import { FRONT, RELOAD, keysNotInForce } from './keys-in-force.ts';
import { readKeys } from './configuration.ts';
import { UsageError, printJsonLines } from './terminal.ts';

interface ChangeOptions {
  /** Whether we may reload the front. */
  reload: boolean;
  json?: boolean;
}

export interface CreateOptions extends ChangeOptions, KeyFields {
  showSecret?: boolean;
}

export interface RotateOptions extends ChangeOptions {
  overlap: string;
  showSecret?: boolean;
}

export interface RevokeOptions extends ChangeOptions {
  previous?: boolean;
}

/** Resolves with the exit code, as the others do: 1 if the key was changed in keys.yaml, and could not be brought into force. */
export function createKeyFor(config: Config, id: string, options: CreateOptions): Promise<number> {
  const { showSecret, expires, description, scripts, networks, hosts, events } = options;
  const fields = { description, scripts, networks, hosts, events, expires: expires === undefined ? undefined : momentOf(expires) };
  const secret = mendable(config, () => createKey(config.keys, id, fields));
  const everything = scripts === undefined ? 'note that it may call every script, and tasks; --scripts makes a key for some\n' : '';
  const said = `${warnOfEnd(config, id)}${everything}key ${id} was made; its stub: mediator-agent stub --key ${id} --output mediator.sh`;
  return conclude(config, { id, change: 'created', ...(showSecret === true ? { secret } : {}) }, said, options);
}

/** A line for a key that is of no use. */
function warnOfEnd({ keys }: Config, id: string): string {
  const parsed = loadKeys(keys);
  const end = parsed.ok ? parsed.value.find((key) => key.id === id)?.expires : undefined;
  if (end === undefined || Date.now() < end) return '';
  return `note that key ${id} expired at ${new Date(end).toISOString()}, and no stub works with it; set a later date in keys.yaml\n`;
}

export function rotateKeyOf(config: Config, id: string, options: RotateOptions): Promise<number> {
  const until = Date.now() + milliseconds('--overlap', options.overlap);
  const secret = mendable(config, () => rotateKey(config.keys, id, until));
  const previous_until = new Date(until).toISOString();
  const said = `${warnOfEnd(config, id)}key ${id} has a new secret; stubs with the old one work until ${previous_until}
now: mediator-agent stub --key ${id} --output mediator.sh, and push it in place of the old one
"mediator-agent keys list" shows when the old secret was used last; keys revoke ${id} --previous ends it early`;
  const change = { id, change: 'rotated', previous_until, ...(options.showSecret === true ? { secret } : {}) };
  return conclude(config, change, said, options);
}

export function revokeKeyOf(config: Config, id: string, options: RevokeOptions): Promise<number> {
  const previous = options.previous === true;
  mendable(config, () => {
    revokeKey(config.keys, id, { previous });
  });
  const said = previous ? `the replaced secrets of the key ${id} are no more` : `key ${id} is no more; runs that it began go on`;
  return conclude(config, { id, change: previous ? 'previous revoked' : 'revoked' }, said, options);
}

interface Change {
  id: string;
  change: string;
  previous_until?: string;
  /** To be shown. */
  secret?: string;
}

async function conclude(config: Config, change: Change, said: string, { reload, json }: ChangeOptions): Promise<number> {
  const { inForce, when } = await putInForce(config, reload);
  if (json === true) printJsonLines([{ ...change, in_force: inForce ?? false }]);
  else if (change.secret !== undefined) process.stdout.write(`${change.secret}\n`);
  process.stderr.write(`${said}\n${when}\n`);
  return inForce === undefined ? 1 : 0;
}

/** `inForce` is undefined if it should be, and is not. */
async function putInForce(config: Config, reload: boolean): Promise<{ inForce: boolean | undefined; when: string }> {
  const unit = await unitOf(FRONT, config.file);
  if (unit === undefined) return { inForce: true, when: 'in force from the next call on' };
  if (unit.ActiveState !== 'active') return { inForce: false, when: `in force once ${FRONT} is started: sudo systemctl start ${FRONT}` };
  if (!reload || process.geteuid?.() !== 0) return { inForce: false, when: `not in force yet; run: ${RELOAD}` };
  const failed = (why: string) => ({
    inForce: undefined,
    when: `NOT in force: ${FRONT} was to reload, and ${why}; journalctl -u ${FRONT} -n 20 may say why, then run: ${RELOAD}`,
  });
  try {
    await runTool('systemctl', ['reload', FRONT]);
  } catch (error) {
    return failed(`could not: ${Failure.from(error).message}`);
  }
  const missing = keysNotInForce(config) ?? [];
  return missing.length > 0 ? failed(missing.join('; ')) : { inForce: true, when: `in force: ${FRONT} has reloaded` };
}

/** A date as it is; a duration from now on. */
function momentOf(text: string): string {
  const age = Age.safeParse(text);
  return age.success ? new Date(Date.now() + age.data).toISOString() : text;
}

function milliseconds(option: string, text: string): number {
  const age = Age.safeParse(text);
  if (age.success) return age.data;
  throw new UsageError(`${option} ${age.error.issues[0]?.message ?? ''}`);
}

/** @throws KeysError for a file that has faults already, UsageError for a change that cannot be */
function mendable<T>(config: Config, change: () => T): T {
  readKeys(config);
  try {
    return change();
  } catch (error) {
    throw new UsageError(Failure.from(error).message);
  }
}
