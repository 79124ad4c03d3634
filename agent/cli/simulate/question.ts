/** One thing that a host asks of a script, and what it makes of the answer. */
import type { Kind } from '../../config/kinds.ts';
import type { HostCalled } from '../../process/host-call.ts';

/** What the host passes in one call. */
export interface Call {
  args: string[];
  /** `SCW_EVENT`, where the host sets one. */
  env: Record<string, string>;
  /** Undefined: stdin stays open, and nothing ever comes. */
  stdin: Buffer | undefined;
}

/**
 * `ok`: the host got what it asked for. `warn`: it goes on, and somebody should look. `FAIL`: it got no proper conclusion.
 * `unasked`: the call cannot be made at all, here or in place.
 */
export type State = 'ok' | 'warn' | 'FAIL' | 'unasked';

export interface Conclusion {
  state: State;
  /** What the host concludes. */
  concludes: string;
  /** What helps to understand it; may be empty. */
  why: string;
}

export interface Question {
  /** As in the table: `CLOSE`, `Test button`. */
  name: string;
  /** What the host calls the event, as a stub without a script names it. */
  trigger: string;
  call: Call;
  /** The host calls so often until the exit code is 0. */
  tries: number;
  /** As many identical calls at the same time. */
  callers: number;
  judge: (heard: HostCalled) => Conclusion;
  /** The ticket by which the runs of these calls are found in the journal; empty: they are not counted. */
  ticket: string;
}

/** What is called: a script, or the event itself. */
export interface Subject {
  /** Undefined: the stub names the event, and every enabled task of it runs. */
  script: string | undefined;
  /** From the manifest, or as the operator says; undefined if neither does. */
  kind: Kind | undefined;
  /** Whether a repeated event joins its run (retries). */
  joins: boolean;
}

/** What the operator asked for; lists that are empty stand for everything there is. */
export interface Wishes {
  events: string[];
  triggers: string[];
  /** Bytes of the payload; undefined: what is usual. */
  size: number | undefined;
  /** A ticket, a draft or a payload to be sent instead of ours. */
  input: Buffer | undefined;
  /** The Arguments field of the registration in SecureChange. */
  argument: string | undefined;
  /** The SmartTask's custom data. */
  customData: Record<string, unknown>;
  /** The SmartTask's own fail-open. */
  failOpen: boolean;
}
