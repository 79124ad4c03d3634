/**
 * One connection to the runner, as the states of protocol/README.md, section 4: opening, uploading, reading, settled.
 * Long because a state machine is understood only in one piece.
 */
import { INTERVALS, LIMITS } from '../../protocol/constants.ts';
import { Failure, exitCodeOf } from '../../protocol/failures.ts';
import { decodeStubMessage, type Accept, type Resume, type Start, type StubMessage } from '../../protocol/messages.ts';
import { TICK, encodeAccepted, encodeTerminal } from '../../protocol/records.ts';
import type { Logger } from '../log.ts';
import { crashPoint } from '../process/crash-point.ts';
import { CLOSE, type Connection } from '../wire/connection.ts';
import { LOCAL_KEY, invocationOf } from './invocation.ts';
import { Reader, type Position } from './reader.ts';
import type { Runner } from './runner.ts';
import type { Stdin } from './spool.ts';
import type { Upload } from './upload.ts';
import type { RunView } from './view.ts';

type State =
  | { name: 'opening' }
  | { name: 'uploading'; start: Start; upload: Upload }
  | { name: 'submitting'; cancelled: boolean }
  | { name: 'reading'; view: RunView; reader: Reader }
  | { name: 'settled'; view: RunView | undefined };

const START: Position = { stdout: 0, stderr: 0 };

export class Session {
  readonly #connection: Connection;
  readonly #runner: Runner;
  readonly #log: Logger;
  readonly #ticker: NodeJS.Timeout;
  #deadline: NodeJS.Timeout | undefined;
  #state: State = { name: 'opening' };

  constructor(connection: Connection, runner: Runner, log: Logger) {
    this.#connection = connection;
    this.#runner = runner;
    this.#log = log;
    this.#ticker = setInterval(() => connection.send(TICK), INTERVALS.tick);
    this.#expectWithin(INTERVALS.opening);
    connection.onMessage((data, binary) => {
      try {
        this.#receive(data, binary);
      } catch (error) {
        this.#refuse(error);
      }
    });
    connection.onClose(() => {
      this.#leave();
    });
  }

  /** The runner stops: what was not accepted by now will not be. */
  stop(): void {
    if (this.#state.name !== 'opening' && this.#state.name !== 'uploading') return;
    this.#refuse(new Failure('draining', 'the agent stops, and the request was not complete; nothing was started, try again in a moment'));
  }

  destroy(): void {
    this.#connection.destroy();
  }

  #receive(data: Buffer, binary: boolean): void {
    if (data.length > LIMITS.message) throw new Failure('request-too-large', `a message is longer than ${LIMITS.message} bytes`);
    if (!binary) {
      this.#receiveMessage(decodeStubMessage(data));
    } else if (this.#state.name === 'uploading') {
      this.#state.upload.add(data);
      this.#expectWithin(INTERVALS.uploading);
    } else {
      throw this.#outOfOrder('stdin');
    }
  }

  #receiveMessage(message: StubMessage): void {
    const state = this.#state;
    switch (message.type) {
      case 'start':
        if (state.name !== 'opening') throw this.#outOfOrder('start');
        this.#state = {
          name: 'uploading',
          start: message,
          upload: this.#runner.upload(),
        };
        this.#expectWithin(INTERVALS.uploading);
        return;
      case 'end':
        if (state.name !== 'uploading') throw this.#outOfOrder('end');
        void this.#submit(state.start, state.upload, message.stdin);
        return;
      case 'resume':
        if (state.name !== 'opening') throw this.#outOfOrder('resume');
        this.#resume(message);
        return;
      case 'read':
        if (state.name !== 'opening') throw this.#outOfOrder('read');
        this.#read(this.#runner.byId(message.run), message.accept, message);
        return;
      case 'refused':
        if (state.name !== 'opening') throw this.#outOfOrder('refused');
        this.#runner.refusals.take(message);
        return;
      case 'cancel':
        if (state.name === 'opening') throw this.#outOfOrder('cancel');
        if (state.name === 'submitting') state.cancelled = true; // the script may have started, and there is no view of it yet
        if (state.name === 'reading') {
          state.reader.stop();
          this.#runner.callerGaveUp(state.view);
        }
        this.#connection.close(CLOSE.normal);
        return;
      case 'ack':
        if (state.name !== 'settled') throw this.#outOfOrder('ack');
        crashPoint('acknowledged');
        if (state.view !== undefined) this.#runner.acknowledge(state.view);
        this.#connection.close(CLOSE.normal);
    }
  }

  async #submit(start: Start, upload: Upload, size: number): Promise<void> {
    const submitting = { name: 'submitting' as const, cancelled: false };
    this.#state = submitting;
    this.#expectNothing();
    let stdin: Stdin | undefined;
    try {
      this.#runner.noteCaller(start.caller);
      stdin = await upload.finish(size);
      const view = await this.#runner.submit(invocationOf(start, stdin));
      // By setImmediate, because the runner itself counts as a reader until then (Runner.submit).
      if (submitting.cancelled) setImmediate(() => this.#runner.callerGaveUp(view));
      else if (this.#connection.open && this.#isSubmitting()) this.#read(view, start.accept, START);
      else this.#runner.callerLost(view);
    } catch (error) {
      this.#refuse(error);
      await this.#runner.refusals.note(Failure.from(error), start, stdin);
    } finally {
      upload.abandon();
    }
  }

  /** Not after a message that was out of order: its refusal was the last word. */
  #isSubmitting(): boolean {
    return this.#state.name === 'submitting';
  }

  /** Only a stub whose run was accepted resumes, so that an operator has to learn that it found none. */
  #resume({ token, accept, caller, ...position }: Resume): void {
    try {
      this.#read(this.#runner.byToken(token, caller?.key ?? LOCAL_KEY), accept, position);
    } catch (error) {
      const { code, message: reason } = Failure.from(error);
      if (caller !== undefined) this.#runner.refusals.take({ type: 'refused', at: Date.now(), code, reason, caller });
      throw error;
    }
  }

  #read(view: RunView, accept: Accept, position: Position): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (position[stream] > view.length(stream)) {
        throw new Failure('unknown-run', `run ${view.id} has fewer bytes of ${stream} than the stub has printed`);
      }
    }
    this.#expectNothing();
    const reader = new Reader(this.#connection, view, accept, position, (error) => {
      if (error === undefined) this.#settle(view);
      else this.#refuse(error);
    });
    this.#state = { name: 'reading', view, reader };
    this.#connection.send(encodeAccepted(view.id));
    reader.start();
  }

  #settle(view: RunView | undefined): void {
    crashPoint('record-sent');
    this.#state = { name: 'settled', view };
    clearInterval(this.#ticker); // the terminal record is the last message
    if (this.#connection.open) this.#expectWithin(INTERVALS.settled, CLOSE.normal);
  }

  #refuse(error: unknown): void {
    if (this.#state.name === 'settled') return;
    const failure = Failure.from(error);
    this.#runner.metrics.refused(failure.code);
    this.#log[failure.code === 'internal' ? 'error' : 'info'](
      { code: failure.code, err: failure.cause, reason: failure.message },
      'refused',
    );
    const message = failure.code === 'internal' ? 'an error in the agent; its log says more' : failure.message;
    this.#connection.send(encodeTerminal({ outcome: 'refused', code: exitCodeOf(failure.code), stdout: 0, stderr: 0, message }));
    if (this.#state.name === 'uploading') {
      this.#state.upload.abandon();
      void this.#runner.refusals.note(failure, this.#state.start, undefined);
    }
    if (this.#state.name === 'reading') {
      this.#state.reader.stop();
      this.#runner.callerLost(this.#state.view);
    }
    this.#settle(undefined);
  }

  #leave(): void {
    clearInterval(this.#ticker);
    this.#expectNothing();
    if (this.#state.name === 'uploading') this.#state.upload.abandon();
    if (this.#state.name === 'reading') {
      this.#state.reader.stop();
      this.#runner.callerLost(this.#state.view);
    }
  }

  #outOfOrder(what: string): Failure {
    return new Failure('out-of-order', `"${what}" is not due while ${this.#state.name}; stub and agent do not fit together`);
  }

  /** The peer has this long for its next step. */
  #expectWithin(milliseconds: number, code: number = CLOSE.goingAway): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.#connection.close(code, 'timeout');
    }, milliseconds);
  }

  #expectNothing(): void {
    clearTimeout(this.#deadline);
  }
}
