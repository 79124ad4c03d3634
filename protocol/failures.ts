/** Every reason for which something is refused: one closed table. Each row has the stub's exit code, and the HTTP status where it can come before 101. */

interface FailureRow {
  /** The exit code of the stub (sysexits.h and POSIX sh, section 2.8.2). */
  exit: 64 | 75 | 77 | 78 | 125 | 126 | 127;
  /** HTTP status, if the failure can come before 101. */
  status?: 400 | 401 | 403 | 404 | 421 | 426 | 429 | 431 | 503;
  meaning: string;
}

export const FAILURES = {
  'bad-request': {
    exit: 78,
    status: 400,
    meaning: 'the request is not a WebSocket upgrade for `mediator.v1`, or its headers are malformed',
  },
  unauthorized: {
    exit: 77,
    status: 401,
    meaning: 'the key does not exist, was revoked, has expired or may not be used from this address, or the proof is wrong',
  },
  'clock-skew': { exit: 77, status: 401, meaning: 'the clocks of stub and agent are more than 300 s apart' },
  replayed: { exit: 77, status: 401, meaning: 'the nonce was used before' },
  origin: { exit: 77, status: 403, meaning: 'the request has an `Origin` header: browsers may not call' },
  'not-found': { exit: 78, status: 404, meaning: 'nothing is served at this path' },
  misdirected: { exit: 78, status: 421, meaning: 'the agent does not answer to the name that the stub dialed' },
  'upgrade-required': { exit: 78, status: 426, meaning: 'a plain HTTP request where a WebSocket is due' },
  'slow-down': { exit: 75, status: 429, meaning: 'too many failed attempts from this address' },
  'headers-too-large': { exit: 78, status: 431, meaning: 'the request headers are longer than 8 KiB' },
  busy: { exit: 75, status: 503, meaning: 'as many connections or runs as the configuration allows' },
  draining: { exit: 75, status: 503, meaning: 'the agent is about to stop and takes no new runs' },
  'runner-away': { exit: 75, status: 503, meaning: 'the front is up, the runner is not' },
  'invalid-message': { exit: 78, meaning: 'a message that is not JSON, or not of the shape that section 2 gives' },
  'invalid-text': { exit: 64, meaning: 'text that is not UTF-8, for instance in an argument' },
  'out-of-order': { exit: 78, meaning: 'a message that is not due in this state, or text where binary is due' },
  'request-too-large': { exit: 64, meaning: 'a message over 1 MiB, too many arguments or variables' },
  'stdin-too-large': { exit: 64, meaning: 'more stdin than the configuration allows' },
  'stdin-incomplete': { exit: 64, meaning: 'less stdin arrived than `end` announced' },
  'argument-too-long': { exit: 126, meaning: 'an argument that Linux cannot pass: over 131,071 bytes, or all together over its limit' },
  'not-allowed': { exit: 77, meaning: 'the key may not call this script, whether or not it exists, or not for this host or event' },
  'no-such-script': { exit: 127, meaning: 'no script answers to the name' },
  'invalid-name': { exit: 127, meaning: 'the name is absolute, has `..` in it, or is otherwise not a path below the scripts folder' },
  'ambiguous-script': { exit: 126, meaning: 'two files answer to the name; the message names both' },
  'outside-folder': { exit: 126, meaning: 'a symbolic link leads out of the scripts folder' },
  'unsafe-script': { exit: 126, meaning: 'the script or a folder above it is writable by others than its owner, or owned by a stranger' },
  'unapproved-script': { exit: 126, meaning: 'the agent demands approvals, and the script or its manifest is new or has changed' },
  'unsettled-script': { exit: 75, meaning: 'the script is being written at this moment, or is empty' },
  'missing-interpreter': { exit: 126, meaning: 'the interpreter of the script does not exist on the host' },
  'broken-manifest': { exit: 126, meaning: "the script's manifest has an error; the message names file, line and field" },
  'cannot-start': { exit: 126, meaning: 'the system would not start the script' },
  'spool-full': { exit: 75, meaning: 'the disk has no room for another run' },
  'unknown-run': {
    exit: 125,
    meaning: 'there is no run for this token or id, it belongs to another key, or its output is not there any more',
  },
  internal: { exit: 125, meaning: 'an error in the agent; its log says more' },
} as const satisfies Record<string, FailureRow>;

export type FailureCode = keyof typeof FAILURES;

export const FAILURE_CODES: readonly FailureCode[] = Object.keys(FAILURES).filter(isFailureCode);

export function isFailureCode(name: string): name is FailureCode {
  return Object.hasOwn(FAILURES, name);
}

/** The exit code of the stub for a failure. */
export function exitCodeOf(code: FailureCode): number {
  return FAILURES[code].exit;
}

/** The HTTP status of a failure before 101; 503 for one that has none of its own. */
export function statusOf(code: FailureCode): number {
  const row: FailureRow = FAILURES[code];
  return row.status ?? 503;
}

/** The one error class of the project: a failure code, a message for a person at 3 a.m., and the cause. */
export class Failure extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Failure';
    this.code = code;
  }

  /** Any thrown value as a Failure; what is not one already becomes `internal`, with the value as its cause. */
  static from(error: unknown): Failure {
    if (error instanceof Failure) return error;
    return new Failure('internal', messageOf(error), { cause: error });
  }
}

/** `String(error)` would throw for an object without a prototype. */
function messageOf(error: unknown): string {
  if (error instanceof Error) return fileMessageOf(error) ?? error.message;
  return typeof error === 'string' ? error : 'something that is not an error was thrown';
}

/** Errors of Node about a file, in words. */
const FILE_ERRORS: Record<string, string> = {
  ENOENT: 'does not exist; make it, or correct the path that names it',
  EACCES: 'may not be used by this user; use sudo, or the user of the agent',
  EPERM: 'may not be used by this user; use sudo, or the user of the agent',
  EISDIR: 'is a folder, not a file; correct the path that names it',
  ENOTDIR: 'is below something that is no folder; correct the path that names it',
  ENOSPC: 'has no room left on its disk; make room',
  EROFS: 'is on a disk that is read-only; name a place that can be written',
};

function fileMessageOf(error: Error): string | undefined {
  if (!('path' in error && 'code' in error && typeof error.path === 'string' && typeof error.code === 'string')) return undefined;
  const words = FILE_ERRORS[error.code];
  return words === undefined ? undefined : `${error.path} ${words}`;
}
