/** One conversation of messages as both sides of the agent use it, with backpressure, whatever carries its frames. */

/**
 * Above this many unsent bytes a connection is congested; below half of it, it has drained. A reader that does not read costs this and one message,
 * in the front and in the runner.
 */
export const HIGH_WATER = 256 * 1024;

/** Hard limit of one message in memory. What is over the wire's own limit but below this gets a proper refusal. */
export const MAX_PAYLOAD = 4 * 1024 * 1024;

/** Status codes of close frames (RFC 6455, section 7.4.1; 1012 by the IANA registry). */
export const CLOSE = { normal: 1000, goingAway: 1001, restart: 1012 } as const;

export interface Connection {
  readonly open: boolean;
  readonly congested: boolean;
  onMessage(handler: (data: Buffer, binary: boolean) => void): void;
  /** Called once, also when the peer vanished without a close frame (then with 1006). */
  onClose(handler: (code: number) => void): void;
  /** A string leaves as a text message, a buffer as a binary one, together with all that is sent in this turn of the event loop. Without effect once the connection is closing.
   * @param passed is called as soon as the system has all of `data`; never, if it does not get it */
  send(data: string | Buffer, passed?: () => void): void;
  /** Calls back once, as soon as the connection is no longer congested. */
  onceDrained(callback: () => void): void;
  pause(): void;
  resume(): void;
  /** Closes in order; a peer that does not answer is cut off. */
  close(code: number, reason?: string): void;
  destroy(): void;
}
