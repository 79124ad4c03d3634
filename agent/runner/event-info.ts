/** What an invocation tells of the event that called: its ticket, and what makes it the same event as another one. */
import { identityOf } from '../hosts/identity.ts';
import { SCAN_LIMIT } from '../hosts/scan.ts';
import { readTicket, type Ticket } from '../hosts/ticket.ts';
import type { Invocation } from './invocation.ts';
import { beginningOf } from './spool.ts';

/** What is known of the event that called. */
export interface EventInfo {
  name: string;
  ticket: Ticket;
  /** Empty: none, and every invocation is a run of its own. */
  identity: string;
}

const NO_TICKET: Ticket = { id: '', subject: '', requester: '', stage: '', updated: '' };

/** @param script as resolved, or `event:NAME` */
export function eventInfo(script: string, { key, args, host, stdin, event: name }: Invocation): EventInfo {
  const ticket = host === 'securechange' ? readTicket(beginningOf(stdin, SCAN_LIMIT + 1)) : undefined;
  return { name, ticket: ticket ?? NO_TICKET, identity: identityOf({ key, script, args, name, ticket }) };
}
