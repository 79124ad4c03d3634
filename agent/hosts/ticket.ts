/** What a SecureChange ticket says about itself: for the log, the journal, and the identity of an event. The script's stdin is never touched. */
import { isAt, scanXml } from './scan.ts';

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

/** The ticket in the bytes, or undefined if they are not XML with a `ticket_info`, or too much of it. */
export function readTicket(stdin: Buffer): Ticket | undefined {
  const found = new Map<Field, string[]>();
  let root: string | undefined;
  const isXml = scanXml(stdin, (names, text) => {
    root = names[0];
    const field = NAMES.find((name) => isAt(FIELDS[name], names));
    if (field !== undefined) found.set(field, [...(found.get(field) ?? []), text].slice(0, 2));
  });
  if (!isXml || root !== 'ticket_info') return undefined;
  const only = ([first = '', second]: string[] = [], allowed: (text: string) => boolean): string =>
    second === undefined && allowed(first) ? first : '';
  const number = (field: Field): string => only(found.get(field), (text) => NUMBER.test(text));
  const words = (field: Field): string => only(found.get(field), (text) => text.length <= LONGEST).replace(/&(\w+);/g, plain);
  return {
    id: number('id'),
    subject: words('subject'),
    requester: words('login') || words('displayName'),
    stage: number('current') || number('completion'),
    updated: number('updated'),
  };
}

/** The five entities that XML has of itself; there are no others in what hosts send. */
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function plain(entity: string, name: string): string {
  return Object.entries(ENTITIES).find(([known]) => known === name)?.[1] ?? entity;
}
