/** No input holds the event loop of the runner for long: the worst that we could think of, each at the limit of what is looked into. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { LIMITS } from '../../protocol/constants.ts';
import { decodeStubMessage } from '../../protocol/messages.ts';
import { taskPayload } from '../../agent/tasks/payload.ts';
import { KIND_NAMES } from '../../agent/config/kinds.ts';
import { decodePayload } from '../../agent/hosts/payload.ts';
import { REPLY_LIMIT, checkReply } from '../../agent/hosts/reply.ts';
import { withoutResult } from '../../agent/hosts/draft.ts';
import { SCAN_LIMIT } from '../../agent/hosts/scan.ts';
import { standIn } from '../../agent/hosts/stand-in.ts';
import { TicketReader } from '../../agent/hosts/ticket.ts';
import { SMALL } from '../../agent/runner/spool.ts';

/**
 * What an input may take, as a multiple of the yardstick below, which is measured beside it. 50 ms are allowed in reality; the yardstick takes
 * 10 ms on the slowest machine seen when it is idle, and becomes as slow as the input does when the machine is busy.
 */
const MOST = 5;
/** Noise only ever adds time, so one good try proves it. */
const TRIES = 10;

const filled = (unit: string, head = '', tail = ''): string =>
  head + unit.repeat(Math.floor((REPLY_LIMIT - head.length - tail.length) / unit.length)) + tail;
/** At the limit of what is looked into of stdin. */
const huge = (unit: string, head = '<ticket_info>', tail = '</ticket_info>'): Buffer =>
  Buffer.from(head + unit.repeat(Math.floor((SCAN_LIMIT - head.length - tail.length) / unit.length)) + tail);
const inTicket = (unit: string): string => filled(unit, '<ticket_info>', '</ticket_info>');
const nested = (levels: number): string => '<a>'.repeat(levels) + '</a>'.repeat(levels);
const numbered = (count: number, one: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => one(index)).join('');

const XML: Record<string, string> = {
  'an XML bomb': `<!DOCTYPE l [<!ENTITY l0 "lol">${numbered(9, (index) => `<!ENTITY l${index + 1} "${`&l${index};`.repeat(10)}">`)}]><ticket_info><id>&l9;</id></ticket_info>`,
  'entities, as many as fit': filled('<!ENTITY a "b">', '<!DOCTYPE x [', ']><ticket_info/>'),
  'entities of different names': `<!DOCTYPE x [${numbered(2500, (index) => `<!ENTITY a${index} "b">`)}]><ticket_info>&a1;</ticket_info>`,
  '5,900 elements of different names': `<ticket_info>${numbered(5900, (index) => `<a${index}/>`)}</ticket_info>`,
  '2,900 pairs of different names': `<ticket_info>${numbered(2900, (index) => `<a${index}></a${index}>`)}</ticket_info>`,
  'nested elements': nested(9000),
  'elements side by side': inTicket('<a/>'),
  'pairs of tags': inTicket('<a></a>'),
  'the same element over and over': inTicket('<id>1</id>'),
  'elements and spaces': inTicket(' <a> </a>'),
  'elements that are never closed': filled('<a>'),
  'closing tags': filled('</a>', '<ticket_info>'),
  'text in one element': filled('x', '<ticket_info><id>', '</id></ticket_info>'),
  'a long name': `<${'a'.repeat(32_000)}></${'a'.repeat(32_000)}>`,
  attributes: filled(' a="b"', '<ticket_info', '/>'),
  'attributes of different names': `<ticket_info${numbered(5000, (index) => ` a${index}="b"`)}/>`,
  'attributes without a value': filled(' a', '<ticket_info', '/>'),
  'a long attribute': filled('x', '<ticket_info a="', '"/>'),
  quotes: filled('"', '<ticket_info ', '/>'),
  'spaces in a tag': filled(' ', '<ticket_info', '/>'),
  comments: inTicket('<!---->'),
  CDATA: inTicket('<![CDATA[x]]>'),
  instructions: inTicket('<?a b?>'),
  'beginnings of all kinds': filled('<!--<![CDATA[<?<!', '<ticket_info>'),
  'angle brackets': filled('<'),
  ampersands: inTicket('&'),
  colons: filled(':', '<a', '/>'),
  'names of prototypes': inTicket('<__proto__>1</__proto__>'),
  'NUL bytes': filled('\0'),
  'line ends': inTicket('\r\n'),
};

const JSON_TEXTS: Record<string, string> = {
  'beginnings of objects': filled('{\n'),
  'ends of objects': filled('}\n'),
  'beginnings, then ends': '{\n'.repeat(16_000) + '}\n'.repeat(16_000),
  'small objects that are none': filled('{x}\n'),
  'larger ones': filled(`{${' '.repeat(500)}x\n}\n`),
  'empty objects': filled('{\n}\n'),
  depth: filled('{"a":'),
  'depth of arrays': filled('['),
  'one long text': `{"result":"${'x'.repeat(60_000)}"}`,
  'blank lines': filled(' \n'),
};

/** Milliseconds of processor time. */
function processorTime(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Strings, small objects and a tree, as readers of XML and JSON make them. */
const YARDSTICK = `[${'{"name":"ticket","value":[1,2,{"id":"4711"}]},'.repeat(20_000)}0]`;
const yardstick = (): void => {
  assert.ok(Array.isArray(JSON.parse(YARDSTICK)));
};

/** The runner reads a ticket in pieces, between which others have their turn: the time of the longest one. */
function longestPiece(ticket: Buffer): number {
  const reader = new TicketReader();
  let longest = 0;
  for (let at = 0; at < ticket.length; at += SMALL) {
    const time = processorTime(() => reader.push(ticket.subarray(at, at + SMALL)));
    longest = Math.max(longest, time);
  }
  return longest;
}

function assertQuick(what: string, work: () => void): void {
  assertLittle(what, () => processorTime(work));
}

function assertLittle(what: string, measure: () => number): void {
  let best = Infinity;
  for (let tries = 0; tries < TRIES && best > MOST; tries += 1) {
    // The faster of two: a yardstick that happened to be interrupted would let everything pass.
    const unit = Math.min(processorTime(yardstick), processorTime(yardstick));
    best = Math.min(best, measure() / unit);
  }
  assert.ok(best <= MOST, `${what}: ${best.toFixed(1)} times the yardstick`);
}

suite('at most 50 ms of the event loop', () => {
  for (const [what, text] of Object.entries(XML)) {
    const bytes = Buffer.from(text).subarray(0, REPLY_LIMIT);
    test(`for XML: ${what}`, () => {
      assertLittle('as a ticket', () => longestPiece(bytes));
      for (const kind of ['condition', 'assignment', 'risk'] as const)
        assertQuick(`as the answer of ${kind}`, () => checkReply(kind, bytes, false));
    });
  }

  for (const [what, text] of Object.entries(JSON_TEXTS)) {
    const bytes = Buffer.from(text).subarray(0, REPLY_LIMIT);
    test(`for a verdict: ${what}`, () => {
      assertQuick('strict', () => checkReply('before', bytes, false));
      assertQuick('last-json', () => checkReply('before', bytes, true));
    });
  }

  test('for what is larger than is looked into, of every kind', () => {
    const large = Buffer.from(inTicket('<a/>').repeat(1000));
    assertLittle('as a ticket', () => longestPiece(large));
    for (const kind of KIND_NAMES) assertQuick(kind, () => checkReply(kind, large, true));
  });

  test('for a message of 1 MiB, and a payload for tasks, of as many values as fit', () => {
    for (const unit of ['[],', '{},', '1,', '"",', '[', '"\\\\",', '"k":1,']) {
      const message = Buffer.from(`{"type":"start","x":[${unit.repeat(1_048_000 / unit.length)}`);
      assertQuick(`a message: ${unit}`, () => {
        assert.throws(() => decodeStubMessage(message));
      });
    }
    const keys = `{${numbered(8000, (index) => `"k${index}":1,`)}"z":1}`;
    for (const text of [keys, `{"x":${'['.repeat(60_000)}${']'.repeat(60_000)}}`, `{"x":[${'{},'.repeat(40_000)}1]}`]) {
      assertQuick(`a payload: ${text.slice(0, 20)}`, () => {
        try {
          taskPayload(Buffer.from(text.slice(0, LIMITS.argument)), {}, {});
        } catch (error) {
          assert.ok(error instanceof RangeError); // too deep to be written again: the task is broken, and its fail-open decides
        }
      });
    }
  });

  test('for the largest argument, Base64 or not', () => {
    for (const unit of ['A', '=', '\n', 'A\n', '-_']) assertQuick(unit, () => decodePayload(unit.repeat(131_071 / unit.length)));
  });

  const units = [
    '<a/>',
    '<a></a>',
    ' <a> </a>',
    '<id>1</id>',
    '<aaaaaaaaaaaaaaa/>',
    '<!---->',
    '<![CDATA[x]]>',
    '<?a?>',
    '<a>',
    '</a>',
    '<',
    '<!--',
    '<a "',
    '&amp;',
  ];
  for (const unit of units) {
    test(`for a ticket of 1 MiB of ${unit}`, () => {
      const ticket = huge(unit);
      assertLittle('in the root', () => longestPiece(ticket));
      const id = huge(unit, '<ticket_info><id>', '</id></ticket_info>');
      assertLittle('in its id', () => longestPiece(id));
      const name = 'b'.repeat(SCAN_LIMIT / 4);
      const below = huge(unit, `<${name}>`, `</${name}>`);
      assertLittle('below a long name', () => longestPiece(below));
    });
  }
  for (const [what, head, unit, tail] of [
    ['attributes', '<ticket_info', ' a="b"', '/>'],
    ['quotes', '<ticket_info ', '"', '/>'],
    ['spaces', '<ticket_info', ' ', '/>'],
    ['a name', '<', 'a', '/>'],
  ] as const) {
    test(`for a tag of 1 MiB of ${what}`, () => {
      const ticket = huge(unit, head, tail);
      assertLittle(what, () => longestPiece(ticket));
    });
  }

  test('for a ticket of 16 MiB, however it is made', () => {
    for (const unit of ['<a/>', '<id>1</id>', `<!--${' '.repeat(1_000_000)}-->`, `<a b="${'>'.repeat(1_000_000)}"/>`, 'x']) {
      const ticket = Buffer.from(`<ticket_info>${unit.repeat((16 * SCAN_LIMIT) / unit.length)}</ticket_info>`);
      assertLittle(unit.slice(0, 20), () => longestPiece(ticket));
    }
  });

  test('for a draft of 1 MiB, and an answer to it or a stand-in for one', () => {
    const answer = {
      type: 'risk',
      results: Array.from({ length: 500 }, (_, index) => ({ field_uuid: `a${index}`, status: 'NO_RISK' })),
    } as const;
    for (const unit of [
      '<uuid>',
      '<uuid>a</uuid>',
      '<access_request><uuid>a</uuid></access_request>',
      `<access_request><uuid>${'a'.repeat(64)}</uuid></access_request>`,
    ]) {
      const draft = huge(unit, '<field_info><field>', '</field></field_info>');
      assertQuick(`a stand-in: ${unit}`, () => standIn('risk', true, '', () => draft));
      assertQuick(`an answer: ${unit}`, () => withoutResult(answer, draft));
    }
  });
});
