/** Collects the stdin of an invocation until its request is complete: small ones in memory, longer ones in a file. */
import { readFileSync, rmSync, truncateSync } from 'node:fs';
import { LIMITS } from '../../protocol/constants.ts';
import { Failure } from '../../protocol/failures.ts';
import { measureFile } from '../keeper/digest.ts';
import { SpoolFile } from '../keeper/spool-file.ts';
import { SMALL, stdinFrom, type Stdin } from './spool.ts';

/** Many small messages are put together: each costs more than its bytes. */
const PIECES = 64;

export class Upload {
  readonly #file: SpoolFile;
  readonly #limit: number;
  readonly #checkRoom: () => void;
  #chunks: Buffer[] = [];
  #received = 0;

  /**
   * @param file where to put what does not fit into memory
   * @param limit bytes; the last block may be padded beyond it by up to one message
   * @param checkRoom throws if the disk has no room for the file
   */
  constructor(file: string, limit: number, checkRoom: () => void = () => undefined) {
    this.#file = new SpoolFile(file);
    this.#limit = limit;
    this.#checkRoom = checkRoom;
  }

  /** In how many pieces it is in memory. */
  get pieces(): number {
    return this.#chunks.length;
  }

  /** @throws Failure `stdin-too-large` or `spool-full` */
  add(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#received += chunk.length;
    if (this.#received > this.#limit + LIMITS.message) throw this.#tooLarge();
    if (this.#received <= SMALL) {
      if (this.#chunks.length >= PIECES) this.#chunks = [Buffer.concat(this.#chunks)];
      this.#chunks.push(chunk);
      return;
    }
    if (this.#file.length === 0) this.#checkRoom();
    for (const earlier of this.#chunks.splice(0)) this.#file.append(earlier);
    this.#file.append(chunk);
  }

  /**
   * @param size the true number of bytes; what was received beyond it is padding
   * @throws Failure `stdin-too-large` or `stdin-incomplete`
   */
  async finish(size: number): Promise<Stdin> {
    if (size > this.#limit) throw this.#tooLarge();
    if (size > this.#received) {
      throw new Failure('stdin-incomplete', `${this.#received} bytes of stdin arrived, ${size} were announced; nothing was started`);
    }
    this.#file.close();
    if (this.#file.length === 0) {
      return stdinFrom(Buffer.concat(this.#chunks).subarray(0, size));
    }
    const { file, measured } = this.#file;
    truncateSync(file, size);
    // With its padding, a small stdin may have been too long for memory. It is looked into all the same.
    if (size <= SMALL) return { ...stdinFrom(readFileSync(file)), file };
    return { ...(size === measured.size ? measured : await measureFile(file)), bytes: undefined, file };
  }

  /** Forgets everything. Harmless after {@link finish}, once the spool has taken the file. */
  abandon(): void {
    this.#chunks = [];
    this.#file.close();
    if (this.#file.length > 0) rmSync(this.#file.file, { force: true });
  }

  #tooLarge(): Failure {
    return new Failure('stdin-too-large', `stdin is longer than the ${this.#limit} bytes that limits.stdin in agent.yaml allows`);
  }
}
