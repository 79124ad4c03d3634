/** What a SecureChange ticket says about itself: for the log, the journal, and the identity of an event. The script's stdin is never touched. */
import { z } from 'zod';
import { XML_LIMIT, parseXml } from './xml.ts';

/** Fields that are missing or malformed are empty. */
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

const text = z.string().max(1000).catch('');
const number = z
  .string()
  .regex(/^\d{1,18}$/)
  .catch('');
const Stage = z.object({ id: number }).catch({ id: '' });
const TicketInfo = z.object({
  id: number,
  subject: text,
  updateDate: number,
  requester: z.object({ login: text, display_name: text }).catch({ login: '', display_name: '' }),
  current_stage: Stage,
  completion_data: z.object({ stage: Stage }).catch({ stage: { id: '' } }),
});

/** The ticket in the bytes, or undefined if they are not well-formed XML with a `ticket_info`. */
export function readTicket(stdin: Buffer): Ticket | undefined {
  if (stdin.length === 0 || stdin.length > XML_LIMIT) return undefined;
  const xml = parseXml(stdin.toString());
  const parsed = z.object({ ticket_info: TicketInfo }).safeParse(xml.ok ? xml.value : undefined);
  if (!parsed.success) return undefined;
  const { id, subject, updateDate, requester, current_stage, completion_data } = parsed.data.ticket_info;
  return {
    id,
    subject,
    requester: requester.login === '' ? requester.display_name : requester.login,
    stage: current_stage.id === '' ? completion_data.stage.id : current_stage.id,
    updated: updateDate,
  };
}
