/** Calls that are refused here, or were by the front, are put into the history. It costs those nothing that are accepted. */
import { LIMITS } from '../../protocol/constants.ts';
import type { Failure } from '../../protocol/failures.ts';
import type { Refused, Start } from '../../protocol/messages.ts';
import type { Journal } from '../journal/journal.ts';
import type { Refusal } from '../journal/refusals.ts';
import { eventInfo } from './event-info.ts';
import { invocationOf } from './invocation.ts';
import type { Stdin } from './spool.ts';

export class Refusals {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** By the front. */
  take({ at, code, reason, caller: { key, address }, script = '', event = '', host }: Refused): void {
    this.#add({ at, key, address, script, host: host ?? '', event, ticket: '', code, reason });
  }

  /**
   * Resolves when its stdin is not needed any more.
   * @param stdin if it has arrived: it names the ticket
   */
  async note({ code, message }: Failure, start: Start, stdin: Stdin | undefined): Promise<void> {
    const at = Date.now();
    const invocation = invocationOf(start, stdin ?? NONE);
    const { script = '', key, address, host, event } = invocation;
    const ticket = await eventInfo(script, invocation).then(
      (info) => info.ticket.id,
      () => '', // its stdin cannot be read any more
    );
    const what = { script, host, event: event.slice(0, LIMITS.eventName), ticket };
    this.#add({ at, key, address, ...what, code, reason: message.slice(0, LIMITS.text) });
  }

  /** Together with what else is written: a flood of calls is refused as quickly as ever. What cannot be written stands in the log. */
  #add(refusal: Refusal): void {
    this.#journal.together(() => this.#journal.refusals.add(refusal)).catch(() => undefined);
  }
}

const NONE: Stdin = { size: 0, sha256: '', bytes: undefined, file: undefined };
