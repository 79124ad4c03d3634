/** Names, limits and intervals of the wire (protocol/README.md). Sizes are bytes, times are milliseconds unless a name says otherwise. */

export const SUBPROTOCOL = 'mediator.v1';
export const RUN_PATH = '/v1/run';

/** Header names as Node spells them in `IncomingMessage.headers`. */
export const HEADERS = {
  audience: 'mediator-audience',
  proof: 'mediator-proof',
  failure: 'mediator-failure',
  /** What else the caller wants: to know its `scripts`, or `patience`. */
  want: 'mediator-want',
  scripts: 'mediator-scripts',
  patience: 'mediator-patience',
} as const;

/** A value of {@link HEADERS.want}. */
export const PATIENCE = 'patience';

export const LIMITS = {
  /** All request headers together (RFC 6585, 431). */
  headers: 8 * 1024,
  /** One WebSocket message, either way. */
  message: 1024 * 1024,
  /** The shortest `accept.frame`. */
  frameMin: 1024,
  /** Linux: MAX_ARG_STRLEN is 131,072 with the closing NUL. */
  argument: 131_071,
  arguments: 1024,
  variables: 64,
  /** One forwarded environment value. */
  variable: 32 * 1024,
  scriptName: 255,
  /** Characters of the name of an event. */
  eventName: 100,
  /** A message for the operator in a notice, a refusal or a terminal record. */
  text: 1024,
  /** Seconds, `start.timeout`. */
  timeoutSeconds: 86_400,
} as const;

export const INTERVALS = {
  /** Accepted distance between the stub's clock and the agent's, in seconds. */
  clockSkewSeconds: 300,
  /** From the TCP connection to complete request headers. */
  handshake: 10_000,
  /** From 101 to `start` or `resume`. */
  opening: 10_000,
  /** The same for a caller that wants patience: a sidecar that keeps a connection for a call to come. */
  patience: 3_600_000,
  /** Between two messages of an upload. */
  uploading: 120_000,
  /** The agent never sends nothing for longer. */
  tick: 10_000,
  /** Silence after which the stub takes the connection for lost. */
  silence: 30_000,
  /** From the terminal record to the stub's close. */
  settled: 10_000,
} as const;
