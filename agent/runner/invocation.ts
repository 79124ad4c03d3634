/** One call by the host, complete and ready to be run. */
import { callOf, type Start } from '../../protocol/messages.ts';
import { LOCAL_KEY } from '../config/keys.ts';
import type { Stdin } from './spool.ts';

export { LOCAL_KEY };

export interface Invocation {
  token: string;
  /** Undefined: an event, for which every enabled task of its trigger runs. */
  script: string | undefined;
  /** `SCW_EVENT`, or a Check Point trigger; empty if none was named. */
  event: string;
  /** Of an event: only this task, enabled or not. */
  task: string | undefined;
  /** Variables that a task adds. */
  extra: Record<string, string>;
  args: string[];
  /** Forwarded variables. */
  env: Record<string, string>;
  host: Start['host'];
  /** How long the caller will wait, in milliseconds; undefined if it did not say. */
  patience: number | undefined;
  stdin: Stdin;
  /** Id of the key, `local` over the Unix socket. */
  key: string;
  address: string;
  /** The run whose input this is, if it is a rerun. */
  rerunOf: string | null;
}

export function invocationOf(start: Start, stdin: Stdin): Invocation {
  return {
    token: start.token,
    ...callOf(start),
    task: start.task,
    extra: {},
    args: start.args,
    env: start.env,
    patience: start.timeout === undefined ? undefined : start.timeout * 1000,
    stdin,
    key: start.caller?.key ?? LOCAL_KEY,
    address: start.caller?.address ?? '',
    rerunOf: null,
  };
}

/** SecureChange's Test button. */
export function isTest({ host, event }: Pick<Invocation, 'host' | 'event'>): boolean {
  return host === 'securechange' && event === 'TEST';
}

/** Whether it may be a retry: never on the command line, where who tries a script wants to see it run. */
export function mayJoin({ host, key, rerunOf }: Invocation): boolean {
  return host === 'securechange' && key !== LOCAL_KEY && rerunOf === null;
}
