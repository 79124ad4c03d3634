import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import { accessRequestsIn } from '../../../agent/hosts/draft.ts';
import { decodePayload } from '../../../agent/hosts/payload.ts';
import { TicketReader, type Ticket } from '../../../agent/hosts/ticket.ts';
import { ROOT } from '../../helpers/command.ts';

const payload = (name: string): Buffer => readFileSync(path.join(ROOT, 'test/fixtures/payloads', name));

/** @param size of the pieces in which it comes */
function readTicket(ticket: Buffer, size = 65_536): Ticket | undefined {
  const reader = new TicketReader();
  for (let at = 0; at < ticket.length; at += size) if (!reader.push(ticket.subarray(at, at + size))) return undefined;
  return reader.end();
}

suite('the id of a ticket', () => {
  const id = (text: string): string => readTicket(Buffer.from(text))?.id ?? '';

  test('is found in what SecureChange sends', () => {
    assert.match(readTicket(payload('securechange/close.xml'))?.id ?? '', /^\d+$/);
    assert.equal(id('<ticket_info><subject>x</subject><id>007</id></ticket_info>'), '007');
    assert.equal(id('<?xml version="1.0"?>\n<ticket_info xsi:type="a">\n<id>12</id></ticket_info>'), '12');
  });
  test('is not that of something else in the ticket', () => {
    assert.equal(id('<ticket_info><requester><id>5</id></requester></ticket_info>'), '');
    assert.equal(id('<other><id>5</id></other>'), '');
  });
  test('is empty where there is none', () => {
    for (const text of ['', '<ticket_info/>', 'ticket', '<ticket_info><id>x</id></ticket_info>', '<', '\0']) {
      assert.equal(id(text), '', text);
    }
  });
  test('is empty, without an error, where XML is hostile', () => {
    assert.equal(id('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><ticket_info><id>&b;</id></ticket_info>'), '');
    assert.equal(id('<a>'.repeat(50_000)), '');
    assert.equal(id(`<ticket_info><id>1</id>${' '.repeat(16 * 1024 * 1024)}</ticket_info>`), '');
    assert.equal(id('<ticket_info><__proto__><id>1</id></__proto__></ticket_info>'), '');
    assert.equal(id(`<${'!'.repeat(200_000)}`), '');
    assert.equal(id(`<ticket_info ${'a="'.repeat(60_000)}`), '');
  });
});

suite('a ticket', () => {
  test('is read from what SecureChange sends, with requester and stage', () => {
    const { subject, requester, stage, updated } = readTicket(payload('securechange/advance.xml')) ?? {};
    assert.deepEqual([subject, requester, stage, updated].map(Boolean), [true, true, true, true]);
    assert.match(readTicket(payload('securechange/close.xml'))?.stage ?? '', /^\d+$/);
  });
  const odd: [what: string, xml: string, id: string | undefined][] = [
    [
      'CDATA, comments and instructions',
      '<?a ?><!-- < --><ticket_info><id><![CDATA[1]]><!-- 2 -->3<?b >?></id></ticket_info> <!---->\n',
      '13',
    ],
    ['an attribute with angle brackets and the other quotes', `<ticket_info a='">' b="'/>"><id c="1">4</id ></ticket_info>`, '4'],
    ['elements after the number', '<ticket_info><id>5<b/></id></ticket_info>', ''],
    ['a document type', '<!DOCTYPE ticket_info><ticket_info><id>1</id></ticket_info>', undefined],
    ['a `<` in an attribute', '<ticket_info a="<"><id>1</id></ticket_info>', undefined],
    ['text before it', 'x<ticket_info><id>1</id></ticket_info>', undefined],
    ['text after it', '<ticket_info><id>1</id></ticket_info>x', undefined],
    ['tags that cross', '<ticket_info><id>1<b></id></b></ticket_info>', undefined],
    ['a tag that does not end', '<ticket_info><id>1</id></ticket_info', undefined],
    ['a comment that does not end', '<ticket_info><id>1</id></ticket_info><!-- ', undefined],
    ['an element without a name', '<ticket_info><id>1</id>< /></ticket_info>', undefined],
    ['an end too many', '<ticket_info><id>1</id></ticket_info></ticket_info>', undefined],
    ['51 levels', `<ticket_info><id>1</id>${'<a>'.repeat(50)}${'</a>'.repeat(50)}</ticket_info>`, undefined],
    ['2,000,001 tags', `<ticket_info><id>1</id>${'<a/>'.repeat(1_999_998)}</ticket_info>`, undefined],
    ['a comment of 2 MiB', `<ticket_info><id>1</id><!--${' '.repeat(2 * 1024 * 1024)}--></ticket_info>`, undefined],
    ['a number behind much space', `<ticket_info><id>1${' '.repeat(65_536)}2</id></ticket_info>`, ''],
    ['3.6 MB of requests before it', `<ticket_info><a>${'<b><c>text</c></b>'.repeat(200_000)}</a><id>1</id></ticket_info>`, '1'],
  ];
  for (const [what, xml, id] of odd) {
    test(`${what}: ${id === undefined ? 'is none' : `the id is "${id}"`}`, () => {
      assert.equal(readTicket(Buffer.from(xml))?.id, id);
    });
  }
});

suite('a ticket that comes in pieces', () => {
  const tickets = ['close', 'advance'].map((name) => payload(`securechange/${name}.xml`).toString());
  const odd = '\ufeff<?a ?><ticket_info a="\'>"><id><![CDATA[1]]><!-- > -->3</id><subject>Zürich ✓</subject></ticket_info>\n';
  test('is the same wherever it is cut', () => {
    for (const text of [...tickets, odd]) {
      const bytes = Buffer.from(text);
      const whole = readTicket(bytes);
      assert.match(whole?.id ?? '', /^\d+$/);
      for (let size = 1; size < 40; size += 1) assert.deepEqual(readTicket(bytes, size), whole, `in pieces of ${size}`);
    }
  });
  test('is none if its end is missing', () => {
    for (let end = 1; end < odd.trim().length; end += 1) assert.equal(readTicket(Buffer.from(odd.slice(0, end)), 7), undefined);
  });
});

suite('the access requests of a draft', () => {
  const draft = (inner: string): string[] | undefined =>
    accessRequestsIn(Buffer.from(`<field_info><context xsi:type="ticket_draft"/><field><name>AR</name>${inner}</field></field_info>`));
  test('are those with a uuid of their own, and nothing else that has one', () => {
    const request = '<access_request><targets><target><uuid>no</uuid></target></targets><uuid>yes</uuid></access_request>';
    assert.deepEqual(draft(request + request.replace('yes', 'too')), ['yes', 'too']);
    assert.deepEqual(draft('<uuid>no</uuid><!-- <access_request><uuid>no</uuid></access_request> -->'), []);
  });
  test('are not known where the draft is none', () => {
    assert.equal(draft('<access_request><uuid>a</uuid>'), undefined);
    assert.equal(accessRequestsIn(Buffer.from('<ticket_info/>')), undefined);
  });
});

suite('the payload of Check Point', () => {
  test('is the bytes of its JSON', () => {
    const bytes = payload('checkpoint/before-publish.json');
    const encoded = bytes.toString('base64');
    assert.deepEqual(decodePayload(encoded), bytes);
    assert.deepEqual(decodePayload(encoded.replace(/.{76}/g, '$&\r\n')), bytes);
    assert.deepEqual(decodePayload(encoded.replace(/=+$/, '')), bytes);
  });
  test('is none where the argument is not Base64', () => {
    for (const text of [undefined, '', '\n', 'a', 'abc!', '{"a":1}', 'ab=c', 'ab===', 'a_-b', 'YWJj YWJj', 'ä']) {
      assert.equal(decodePayload(text), undefined, text);
    }
  });
});
