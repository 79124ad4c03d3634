/** What an invocation tells of the event that called: its ticket, and what makes it the same event as another one. */
import { createReadStream } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { identityOf } from '../hosts/identity.ts';
import { readTicket, type Ticket } from '../hosts/ticket.ts';
import { maskText } from '../keeper/masking.ts';
import type { Invocation } from './invocation.ts';
import { SMALL, type Content } from './spool.ts';

/** What is known of the event that called. */
export interface EventInfo {
  name: string;
  ticket: Ticket;
  /** Empty: none, and every invocation is a run of its own. */
  identity: string;
}

const NO_TICKET: Ticket = { id: '', subject: '', requester: '', stage: '', updated: '' };

/** @param script as resolved, or `event:NAME` */
export async function eventInfo(script: string, { key, args, host, stdin, event: name }: Invocation): Promise<EventInfo> {
  const ticket = host === 'securechange' ? await readTicket(piecesOf(stdin)) : undefined;
  return { name, ticket: ticket ?? NO_TICKET, identity: identityOf({ key, script, args, name, ticket }) };
}

/** All of it, in pieces, between which others have their turn. */
async function* piecesOf({ bytes, file }: Content): AsyncGenerator<Buffer> {
  if (bytes === undefined) {
    if (file !== undefined) yield* piecesOfFile(file);
    return;
  }
  for (let at = 0; at < bytes.length; at += SMALL) {
    if (at > 0) await setImmediate();
    yield bytes.subarray(at, at + SMALL);
  }
}

function piecesOfFile(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: SMALL });
}

/** For journal and log. The identity is a digest. */
export function maskEvent(event: EventInfo, patterns: readonly Buffer[]): EventInfo {
  const mask = (text: string): string => maskText(text, patterns);
  const { subject, requester, stage } = event.ticket;
  return { ...event, ticket: { ...event.ticket, subject: mask(subject), requester: mask(requester), stage: mask(stage) } };
}
