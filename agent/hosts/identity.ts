/** When is it the same event again? SecureChange tries a script up to five times, and a firewall change must not be made twice. */
import { createHash } from 'node:crypto';
import type { Ticket } from './ticket.ts';

export interface Event {
  /** Id of the key: a key never gets the output of another's run. */
  key: string;
  /** The script as resolved. */
  script: string;
  args: string[];
  /** `SCW_EVENT`. */
  name: string;
  ticket: Ticket | undefined;
}

/** A hash that is the same for the same event, or an empty string if the event has no identity (Test button, `field_info`, broken XML). */
export function identityOf({ key, script, args, name, ticket }: Event): string {
  if (ticket === undefined || name === '' || ticket.id === '' || ticket.updated === '') return '';
  const parts = [key, script, args, name, ticket.id, ticket.stage, ticket.updated];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
