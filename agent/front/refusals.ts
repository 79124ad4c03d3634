/**
 * Tells the runner which calls the front has refused although their key was proven, so that the history shows them. What strangers are refused is
 * counted alone: they can make nothing grow.
 */
import { LIMITS } from '../../protocol/constants.ts';
import type { Failure } from '../../protocol/failures.ts';
import { encodeStubMessage, type Call, type Caller } from '../../protocol/messages.ts';
import { CLOSE } from '../wire/connection.ts';
import type { Upstream } from './upstream.ts';

/** While the runner is away, so many wait; of the others the log knows. */
const MOST = 100;
/** Before it is tried again, in milliseconds. */
const RETRY = 5000;

export class Refusals {
  readonly #upstream: Upstream;
  readonly #waiting: string[] = [];
  #telling = false;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** @param call as far as the stub has told it */
  note({ code, message }: Failure, caller: Caller, call?: Call): void {
    if (!this.#upstream.trusting || this.#waiting.length === MOST) return;
    const { script, host, event = '' } = call ?? {};
    const what = { script: script?.slice(0, LIMITS.scriptName), host, event: event.slice(0, LIMITS.eventName) };
    this.#waiting.push(
      encodeStubMessage({ type: 'refused', at: Date.now(), code, reason: message.slice(0, LIMITS.text), caller, ...what }),
    );
    if (!this.#telling) this.#tell();
  }

  #tell(): void {
    this.#telling = true;
    this.#upstream.dial().then(
      (runner) => {
        for (const message of this.#waiting.splice(0)) runner.send(message);
        runner.close(CLOSE.normal);
        this.#telling = false;
      },
      () => setTimeout(() => this.#tell(), RETRY).unref(),
    );
  }
}
