import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import { decodePayload } from '../../../agent/hosts/payload.ts';
import { readTicket } from '../../../agent/hosts/ticket.ts';
import { ROOT } from '../../helpers/command.ts';

const payload = (name: string): Buffer => readFileSync(path.join(ROOT, 'test/fixtures/payloads', name));

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
  test('is empty, at once and without an error, where XML is hostile', () => {
    const begun = performance.now();
    assert.equal(id('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><ticket_info><id>&b;</id></ticket_info>'), '');
    assert.equal(id('<a>'.repeat(50_000)), '');
    assert.equal(id(`<ticket_info><id>1</id>${' '.repeat(256 * 1024)}</ticket_info>`), '');
    assert.equal(id('<ticket_info><__proto__><id>1</id></__proto__></ticket_info>'), '');
    assert.equal(id(`<${'!'.repeat(200_000)}`), '');
    assert.equal(id(`<ticket_info ${'a="'.repeat(60_000)}`), '');
    assert.ok(performance.now() - begun < 5000);
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
