/** Input that is broken, hostile or huge: each has one defined result, and the script's stdin is byte for byte what the host sent. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { assertAnswered, secureChange, type HostStub } from './stub.ts';

const BOMB = `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">${Array.from({ length: 9 }, (_, index) => `<!ENTITY lol${index + 1} "${`&lol${index === 0 ? '' : index};`.repeat(10)}">`).join('')}]><ticket_info><id>1</id><subject>&lol9;</subject></ticket_info>`;
const EXTERNAL = '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><ticket_info><id>2</id><subject>&x;</subject></ticket_info>';
const good = (id: number): string => `<ticket_info><id>${id}</id><subject>s</subject><updateDate>5</updateDate></ticket_info>`;

/** `known`: the ticket's id in the journal, if the agent can read it; everything else is no ticket for it. */
const INPUTS: Record<string, { stdin: string | Buffer; known?: { ticket: string } }> = {
  'an XML bomb': { stdin: BOMB },
  'an external entity': { stdin: EXTERNAL },
  '100,000 nested elements': { stdin: '<a>'.repeat(100_000) + '</a>'.repeat(100_000) },
  '1,000 nested elements in a ticket': { stdin: `<ticket_info><id>3</id>${'<a>'.repeat(1000)}${'</a>'.repeat(1000)}</ticket_info>` },
  'UTF-16 with a byte order mark': { stdin: Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(good(4), 'utf16le')]) },
  'UTF-16, big-endian': { stdin: Buffer.from(good(5), 'utf16le').swap16() },
  'UTF-8 with a byte order mark': { stdin: Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good(6))]), known: { ticket: '6' } },
  'Latin-1': { stdin: Buffer.from('<ticket_info><id>7</id><subject>Z\xfcrich</subject></ticket_info>', 'latin1'), known: { ticket: '7' } },
  '5 MB of text in one element': {
    stdin: `<ticket_info><id>8</id><subject>${'x'.repeat(5_000_000)}</subject></ticket_info>`,
    known: { ticket: '8' },
  },
  '17 MB of it': { stdin: `<ticket_info><id>22</id><subject>${'x'.repeat(17_000_000)}</subject></ticket_info>` },
  'a comment of 900,000 characters': {
    stdin: `<ticket_info><id>21</id><comment>${'x'.repeat(900_000)}</comment></ticket_info>`,
    known: { ticket: '21' },
  },
  'a subject of 50,000 characters': {
    stdin: `<ticket_info><id>9</id><subject>${'x'.repeat(50_000)}</subject></ticket_info>`,
    known: { ticket: '9' },
  },
  'no root': { stdin: 'just text' },
  nothing: { stdin: '' },
  'white space': { stdin: ' \n ' },
  'two roots': { stdin: good(10) + good(10) },
  'an element that does not end': { stdin: '<ticket_info><id>11</id>' },
  'NUL bytes': { stdin: Buffer.from(`\0${good(12)}\0`) },
  'every byte': { stdin: Buffer.from(Array.from({ length: 256 }, (_, code) => code)) },
  'white space and a declaration before the root': {
    stdin: `<?xml version="1.0" encoding="UTF-8"?>\n<ticket_info>\n  <id>13</id>\n</ticket_info>\n`,
    known: { ticket: '13' },
  },
  'an id that is no number': { stdin: '<ticket_info><id>../../etc</id><updateDate>1</updateDate></ticket_info>', known: { ticket: '' } },
  'two ids': { stdin: '<ticket_info><id>14</id><id>15</id></ticket_info>', known: { ticket: '' } },
  'an id in CDATA': { stdin: '<ticket_info><id><![CDATA[16]]></id></ticket_info>', known: { ticket: '16' } },
  'an id with leading zeros': { stdin: '<ticket_info><id>007</id></ticket_info>', known: { ticket: '007' } },
  'an id of 100 digits': { stdin: `<ticket_info><id>${'9'.repeat(100)}</id></ticket_info>`, known: { ticket: '' } },
  'elements named like prototypes': {
    stdin: '<ticket_info><id>17</id><__proto__><id>18</id></__proto__><constructor>x</constructor></ticket_info>',
    known: { ticket: '17' },
  },
  'a namespace prefix on everything': { stdin: '<t:ticket_info xmlns:t="x"><t:id>19</t:id></t:ticket_info>' },
  'another root': { stdin: '<ticket><id>20</id></ticket>' },
};

suite('bad input of SecureChange', () => {
  let agent: TestAgent;
  let call: HostStub;
  let parts: (number | undefined)[];
  before(async () => {
    agent = await startAgent();
    agent.script('sum.sh', '#!/bin/bash\nsha256sum | cut -d" " -f1\n');
    call = await secureChange(agent, 'sum');
    parts = [agent.part('front'), agent.part('runner')];
  });
  after(() => agent.close());

  for (const [what, { stdin, known }] of Object.entries(INPUTS)) {
    test(`${what}: the script gets it byte for byte${known === undefined ? '' : `, and the journal knows the ticket "${known.ticket}"`}`, async () => {
      const sum = createHash('sha256').update(stdin).digest('hex');
      assertAnswered(await call({ stdin, env: { SCW_EVENT: 'CREATE' } }), { stdout: `${sum}\n` });
      const [run] = await agent.runs('limit=1');
      assert.ok(run);
      assert.equal(run.ticket, known?.ticket ?? '');
      assert.equal(run.stdin, Buffer.byteLength(stdin));
    });
  }

  test('front and runner are the processes that they were', () => {
    assert.deepEqual([agent.part('front'), agent.part('runner')], parts);
  });
});
