/** Passes the messages of one stub on to the runner and back. It reads only the first one, to check what the key may call, and adds who calls. */
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { Failure, exitCodeOf } from '../../protocol/failures.ts';
import { callOf, decodeStubMessage, encodeStubMessage, type Call, type Caller, type Resume, type Start } from '../../protocol/messages.ts';
import { encodeTerminal } from '../../protocol/records.ts';
import { checkGrant, type Key } from '../config/keys.ts';
import type { Logger } from '../log.ts';
import { CLOSE, type Connection } from '../wire/connection.ts';
import { giveBuffer } from '../wire/large-buffers.ts';
import type { Upstream } from './upstream.ts';

export interface RelayParts {
  stub: Connection;
  /** Dialed while the stub still reads our 101. */
  upstream: Upstream;
  /** Asked once, at the first message. @throws Failure if there is none any more */
  key: () => Key;
  caller: Caller;
  log: Logger;
  /** Told of what is refused, and of the call as far as it is known. */
  refused: (failure: Failure, call: Call | undefined) => void;
}

export function relay({ stub, upstream, key, caller, log, refused }: RelayParts): void {
  let runner: Connection | undefined;
  let ended = false;
  const early: (string | Buffer)[] = [];
  let opened = false;
  let call: Call | undefined;

  const refuse = (error: unknown): void => {
    if (ended) return;
    ended = true;
    const failure = Failure.from(error);
    const { code, message } = failure;
    refused(failure, call);
    log.warn({ code, reason: message, ...caller }, 'refused');
    stub.send(encodeTerminal({ outcome: 'refused', code: exitCodeOf(code), stdout: 0, stderr: 0, message }));
    runner?.destroy();
    setTimeout(() => stub.close(CLOSE.normal), INTERVALS.settled).unref();
  };

  const forward = (message: string | Buffer): void => {
    if (runner === undefined) early.push(message);
    else pass(runner, stub, message);
  };

  stub.onMessage((data, binary) => {
    if (ended) {
      if (!binary && isAck(data)) stub.close(CLOSE.normal);
      return;
    }
    try {
      if (data.length > LIMITS.message) throw new Failure('request-too-large', `a message is longer than ${LIMITS.message} bytes`);
      if (opened) {
        forward(binary ? data : data.toString());
        return;
      }
      opened = true;
      const opening = decodeOpening(data, binary);
      if (opening.type === 'start') call = callOf(opening);
      const now = key();
      if (call !== undefined) checkGrant(now, call);
      forward(encodeStubMessage(upstream.trusting ? { ...opening, caller } : opening));
      if (runner === undefined) stub.pause();
    } catch (error) {
      refuse(error);
    }
  });

  upstream.dial().then(
    (connection) => {
      runner = connection;
      if (ended || !stub.open) {
        connection.destroy();
        return;
      }
      connection.onMessage((data) => {
        pass(stub, connection, data);
      });
      connection.onClose((code) => {
        if (!ended) stub.close(code === CLOSE.normal || code === CLOSE.goingAway ? code : CLOSE.restart);
      });
      for (const message of early.splice(0)) pass(connection, stub, message);
      stub.resume();
    },
    (error: unknown) => {
      stub.resume();
      refuse(error);
    },
  );
  stub.onClose(() => runner?.destroy());
}

function isAck(data: Buffer): boolean {
  try {
    return decodeStubMessage(data).type === 'ack';
  } catch {
    return false;
  }
}

/** The first message. @throws Failure */
function decodeOpening(data: Buffer, binary: boolean): Start | Resume {
  if (binary) throw new Failure('out-of-order', 'stdin before "start"; stub and agent do not fit together');
  const message = decodeStubMessage(data);
  if (message.type !== 'start' && message.type !== 'resume') {
    throw new Failure('out-of-order', `"${message.type}" is not due as the first message; stub and agent do not fit together`);
  }
  if (message.caller !== undefined) throw new Failure('invalid-message', 'caller: a stub may not say who it is');
  if (message.type === 'start' && message.task !== undefined) throw new Failure('invalid-message', 'task: a stub may not choose one');
  return message;
}

/** Sends on; a receiver that is slower than its sender stops it for a while. */
function pass(to: Connection, from: Connection, message: string | Buffer): void {
  to.send(message, typeof message === 'string' ? undefined : () => giveBuffer(message));
  if (!to.congested) return;
  from.pause();
  to.onceDrained(() => from.resume());
}
