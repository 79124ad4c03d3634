/** The command line as a reader: prints a run's streams as they come, and becomes its exit code. */
import { Failure } from '../../protocol/failures.ts';
import type { Accept } from '../../protocol/messages.ts';
import { encodeStubMessage } from '../../protocol/messages.ts';
import { decodeAgentMessage, type Stream, type Terminal } from '../../protocol/records.ts';
import { CLOSE, type Connection } from '../wire/connection.ts';
import { outputTo } from './output.ts';
import { printJsonLines } from './terminal.ts';

export const ACCEPT: Accept = { frame: 256 * 1024, bulk: 2 };

export interface FollowOptions {
  onAccepted?: (run: string) => void;
  /** Prints this stream alone. */
  only?: Stream | undefined;
  /** Prints JSON lines, the last of them with what became of the run. */
  json?: boolean | undefined;
}

/** Resolves with the terminal record. @throws Failure if the connection was lost before it, or bytes are missing */
export function follow(connection: Connection, { onAccepted, only, json = false }: FollowOptions = {}): Promise<Terminal> {
  return new Promise((resolve, reject) => {
    const printed = { stdout: 0, stderr: 0 };
    const print = { stdout: outputTo('stdout', json), stderr: outputTo('stderr', json) };
    let terminal: Terminal | undefined;
    connection.onMessage((data) => {
      const message = decodeAgentMessage(data);
      switch (message.type) {
        case 'accepted':
          onAccepted?.(message.run);
          return;
        case 'output':
          printed[message.stream] += message.data.length;
          if (only !== undefined && message.stream !== only) return;
          if (!print[message.stream].write(message.data)) {
            connection.pause();
            print[message.stream].target.once('drain', () => {
              connection.resume();
            });
          }
          return;
        case 'notice':
          process.stderr.write(`mediator: ${message.text}\n`);
          return;
        case 'tick':
          return;
        case 'terminal':
          terminal = message;
          print.stdout.end();
          print.stderr.end();
          if (json) printJsonLines([{ outcome: message.outcome, code: message.code, message: message.message }]);
          connection.send(encodeStubMessage({ type: 'ack' }));
          connection.close(CLOSE.normal);
      }
    });
    connection.onClose(() => {
      if (terminal === undefined) reject(new Failure('runner-away', 'the runner went away before the run ended'));
      else if (terminal.stdout !== printed.stdout || terminal.stderr !== printed.stderr)
        reject(new Failure('unknown-run', terminal.outcome === 'refused' ? terminal.message : 'output is missing'));
      else resolve(terminal);
    });
  });
}

/** Prints why a run ended, if it did not end by itself, and returns the exit code for it. */
export function concludeWith({ code, message, outcome }: Terminal): number {
  if (outcome !== 'exited' && message !== '') process.stderr.write(`mediator: ${message}\n`);
  return code;
}
