/** The front's way to the runner: one link, made at the first call and again after it was lost. */
import type { Connection } from './connection.ts';
import { DIAL_PATIENCE, away, dialLink } from './dial.ts';
import type { Link } from './link.ts';

export class RunnerLink {
  #link: Promise<Link> | undefined;
  #socket = '';

  /** Begins a conversation, as `/v1/run` does. @param socket the runner's, which a reload may change. @throws Failure `runner-away` */
  async dial(socket: string): Promise<Connection> {
    const link = await this.#to(socket);
    const connection = await link.open(DIAL_PATIENCE);
    if (connection === undefined) throw away(socket);
    return connection;
  }

  /** No more calls will come: the link closes after the last one. */
  close(): void {
    this.#link?.then((link) => link.retire(), ignore);
  }

  #to(socket: string): Promise<Link> {
    if (this.#link !== undefined && socket === this.#socket) return this.#link;
    const former = this.#link;
    former?.then((link) => link.retire(), ignore);
    this.#socket = socket;
    const link = (this.#link = dialLink(socket));
    const forget = (): void => {
      if (this.#link === link) this.#link = undefined;
    };
    link.then(({ closed }) => closed.then(forget), forget);
    return link;
  }
}

function ignore(): void {
  // nobody listened there
}
