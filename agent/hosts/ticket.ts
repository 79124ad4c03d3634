/** What a SecureChange ticket says about itself: for the log, the journal, and the identity of an event. The script's stdin is never touched. */
import { StringDecoder } from 'node:string_decoder';
import { XmlScan, isAt } from './scan.ts';

/** Fields that are missing or malformed, or stand there twice, are empty. */
export interface Ticket {
  id: string;
  subject: string;
  /** Login, or display name. */
  requester: string;
  /** Id of the current stage, or of the completion stage. */
  stage: string;
  /** `updateDate` as it stands there: epoch milliseconds. */
  updated: string;
}

const FIELDS = {
  id: ['ticket_info', 'id'],
  subject: ['ticket_info', 'subject'],
  updated: ['ticket_info', 'updateDate'],
  login: ['ticket_info', 'requester', 'login'],
  displayName: ['ticket_info', 'requester', 'display_name'],
  current: ['ticket_info', 'current_stage', 'id'],
  completion: ['ticket_info', 'completion_data', 'stage', 'id'],
} as const;
type Field = keyof typeof FIELDS;
const NAMES = ['id', 'subject', 'updated', 'login', 'displayName', 'current', 'completion'] as const satisfies Field[];

const NUMBER = /^\d{1,18}$/;
/** Characters of a subject or a name. */
const LONGEST = 1000;

/** The longest ticket that is looked into piece by piece, in bytes, and the most tags: a second of processor time for the worst. */
const LONGEST_TICKET = 16 * 1024 * 1024;
const MOST_TAGS = 2_000_000;

/** The ticket in pieces of some bytes, or undefined if they are not XML with a `ticket_info`, or too much of it. */
export async function readTicket(pieces: AsyncIterable<Buffer>): Promise<Ticket | undefined> {
  const reader = new TicketReader();
  for await (const piece of pieces) if (!reader.push(piece)) return undefined;
  return reader.end();
}

/** Reads a ticket that comes in pieces, cut anywhere. */
export class TicketReader {
  readonly #decoder = new StringDecoder('utf8');
  readonly #found = new Map<Field, string[]>();
  #root: string | undefined;
  #size = 0;
  readonly #scan = new XmlScan((names, text) => {
    this.#root = names[0];
    const field = NAMES.find((name) => isAt(FIELDS[name], names));
    if (field !== undefined) this.#found.set(field, [...(this.#found.get(field) ?? []), text].slice(0, 2));
  }, MOST_TAGS);

  /** @returns false as soon as it is no ticket that can be read */
  push(piece: Buffer): boolean {
    this.#size += piece.length;
    return this.#size <= LONGEST_TICKET && this.#scan.push(this.#decoder.write(piece));
  }

  end(): Ticket | undefined {
    if (!this.#scan.push(this.#decoder.end()) || !this.#scan.end() || this.#root !== 'ticket_info') return undefined;
    return {
      id: this.#number('id'),
      subject: this.#words('subject'),
      requester: this.#words('login') || this.#words('displayName'),
      stage: this.#number('current') || this.#number('completion'),
      updated: this.#number('updated'),
    };
  }

  #number(field: Field): string {
    return this.#only(field, (text) => NUMBER.test(text));
  }

  #words(field: Field): string {
    return this.#only(field, (text) => text.length <= LONGEST).replace(/&(\w+);/g, plain);
  }

  #only(field: Field, isAllowed: (text: string) => boolean): string {
    const [first = '', second] = this.#found.get(field) ?? [];
    return second === undefined && isAllowed(first) ? first : '';
  }
}

/** The five entities that XML has of itself; there are no others in what hosts send. */
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function plain(entity: string, name: string): string {
  return Object.entries(ENTITIES).find(([known]) => known === name)?.[1] ?? entity;
}
