/** A connection without a wire: the test is the peer, and says when it is congested. */
import { decodeAgentMessage, type AgentMessage } from '../../../protocol/records.ts';
import type { Connection } from '../../../agent/wire/connection.ts';

export class FakeConnection implements Connection {
  open = true;
  congested = false;
  paused = false;
  readonly sent: AgentMessage[] = [];
  /** The code with which the agent closed. */
  closedWith: number | undefined;
  #drained: (() => void)[] = [];
  #onMessage: (data: Buffer, binary: boolean) => void = () => undefined;
  #onClose: (code: number) => void = () => undefined;

  /** The peer sends a text message. */
  receive(message: unknown): void {
    this.#onMessage(Buffer.from(JSON.stringify(message)), false);
  }

  /** The peer sends stdin. */
  receiveBinary(data: Buffer): void {
    this.#onMessage(data, true);
  }

  /** The peer has read what there was. */
  drain(): void {
    this.congested = false;
    for (const callback of this.#drained.splice(0)) callback();
  }

  /** The connection is gone. */
  vanish(code = 1006): void {
    this.open = false;
    this.#onClose(code);
  }

  onMessage(handler: (data: Buffer, binary: boolean) => void): void {
    this.#onMessage = handler;
  }

  onClose(handler: (code: number) => void): void {
    this.#onClose = handler;
  }

  send(data: string | Buffer): void {
    if (this.open) this.sent.push(decodeAgentMessage(Buffer.from(data)));
  }

  onceDrained(callback: () => void): void {
    this.#drained.push(callback);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(code: number): void {
    this.closedWith ??= code;
    this.open = false;
  }

  destroy(): void {
    this.vanish();
  }
}
