/** A connection that was opened ahead of its call (protocol/README.md, section 1): kept alive, and closed if the call does not come. */
import { INTERVALS } from '../../protocol/constants.ts';
import { TICK } from '../../protocol/records.ts';
import { CLOSE, type Connection } from '../wire/connection.ts';

/** Resolves with the caller's first message; never, if the connection is closed before. */
export function firstMessage(caller: Connection): Promise<void> {
  return new Promise((resolve) => {
    const ticker = setInterval(() => caller.send(TICK), INTERVALS.tick);
    const deadline = setTimeout(() => caller.close(CLOSE.goingAway, 'timeout'), INTERVALS.patience);
    const stop = (): void => {
      clearInterval(ticker);
      clearTimeout(deadline);
    };
    caller.onMessage(() => {
      stop();
      resolve();
    });
    caller.onClose(stop);
  });
}
