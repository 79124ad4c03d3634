/** SecureChange's input, as public clients have seen it: one compact line, no declaration, `xsi:` undeclared (securechange: The call). */
import { randomInt, randomUUID } from 'node:crypto';

export interface Ticket {
  id: string;
  xml: Buffer;
}

/** Events after which a ticket has no current stage any more. */
const COMPLETED = new Set(['CLOSE', 'CANCEL', 'REJECT', 'RESOLVE']);

/**
 * A new ticket: an id that was never used, and updated now, so that it is an event of its own.
 * @param size bytes that it has at least; comments fill it up
 */
export function newTicket(event: string, size: number): Ticket {
  const id = `9${String(randomInt(100_000_000)).padStart(8, '0')}`;
  const updated = Date.now();
  const person = '<id>4</id><login>simulate</login><display_name>Simulated by mediator-agent</display_name>';
  const stage = COMPLETED.has(event)
    ? '<completion_data><stage><id>257</id><name>Verify and close</name></stage></completion_data>'
    : `<current_stage><id>253</id><name>Business approval</name><ticket_task><id>253</id><name>Default</name><handler>${person}</handler></ticket_task></current_stage>`;
  const head =
    `<ticket_info><id>${id}</id><subject>Open 443 to web tier &amp; API (Zürich)</subject><priority><id>3</id><name>Normal</name></priority>` +
    `<createDate>${updated - 86_400_000}</createDate><updateDate>${updated}</updateDate><requester>${person}</requester>${stage}` +
    '<open_request_stage><id>252</id><name>Open request</name></open_request_stage>';
  return { id, xml: Buffer.from(`${head}${comments(size - Buffer.byteLength(head))}</ticket_info>`) };
}

/**
 * A ticket from a file, byte for byte but for its `updateDate`, which becomes some moment of the last quarter of an hour: else the second call would
 * be a retry of the first one.
 */
export function ticketFrom(bytes: Buffer): Ticket {
  const updated = Date.now() - randomInt(900_000);
  const text = bytes.toString('latin1').replace(/(?<=<updateDate>)\d+(?=<\/updateDate>)/, String(updated));
  return { id: /<id>(\d+)<\/id>/.exec(text)?.[1] ?? '', xml: Buffer.from(text, 'latin1') };
}

/** The Test button's. */
export const TEST_TICKET = Buffer.from('<ticket_info/>');

/** The input of an external risk analysis. */
export function newDraft(size: number): Buffer {
  const uuids = [randomUUID(), randomUUID(), randomUUID()];
  const requests = uuids.map(
    (uuid, index) =>
      `<access_request><uuid>${uuid}</uuid><order>AR${index + 1}</order><use_topology>true</use_topology><targets/><users/>` +
      `<sources><source xsi:type="ip"><ip_address>10.20.0.${index + 15}</ip_address><cidr>32</cidr></source></sources>` +
      '<destinations><destination xsi:type="ip"><ip_address>10.20.8.0</ip_address><cidr>24</cidr></destination></destinations>' +
      '<services><service><protocol>TCP</protocol><port>443</port></service></services><action>Accept</action><labels/></access_request>',
  );
  const head = '<field_info><context xsi:type="ticket_draft"/><field xsi:type="multi_access_request"><name>Required access</name>';
  const body = `${head}${requests.join('')}`;
  return Buffer.from(`${body}${comments(size - body.length)}</field></field_info>`);
}

/** So many bytes of comments, or a little more. */
function comments(bytes: number): string {
  const one =
    '<comment xsi:type="ticket_comment"><id>911</id><user>simulate</user><content>Checked from 10.20.0.15, works.</content></comment>';
  return bytes <= 0 ? '' : one.repeat(Math.ceil(bytes / one.length));
}
