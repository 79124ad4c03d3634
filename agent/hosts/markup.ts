/** The markup of XML, one piece at a time: tags, comments, instructions and CDATA. */

const [QUOTE, APOSTROPHE, GREATER, LESS] = [0x22, 0x27, 0x3e, 0x3c];

/** What stands between `<` and `>`: where it ends, and the element that it begins, ends, or both; or the text in it. */
export interface Markup {
  end: number;
  begins?: string;
  ends?: string;
  text?: string;
}

/** What is no element. A document type would define what the rest means; there is none in what hosts send. */
const OTHERS = [
  ['<!--', '-->'],
  ['<![CDATA[', ']]>'],
  ['<?', '?>'],
] as const;

/** @returns `incomplete` where the text is over before its end */
export function markupAt(text: string, at: number): Markup | 'incomplete' | 'broken' {
  const other = OTHERS.find(([first]) => text.startsWith(first, at));
  if (other !== undefined) {
    const [first, last] = other;
    const end = text.indexOf(last, at + first.length);
    if (end < 0) return 'incomplete';
    return { end: end + last.length, ...(first === '<![CDATA[' ? { text: text.slice(at + first.length, end) } : {}) };
  }
  const last = endOfTag(text, at + 1);
  if (typeof last === 'string') return last;
  const end = last + 1;
  if (text[at + 1] === '/') return { end, ends: text.slice(at + 2, last).trimEnd() };
  if (text[last - 1] !== '/') return { end, begins: nameAt(text, at + 1, last) };
  const name = nameAt(text, at + 1, last - 1);
  return { end, begins: name, ends: name };
}

/** Where the tag ends: an attribute may have `>` in it, and no tag has `<`. */
function endOfTag(text: string, from: number): number | 'incomplete' | 'broken' {
  let quote = 0;
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === LESS) return 'broken';
    if (quote !== 0) {
      if (code === quote) quote = 0;
    } else if (code === GREATER) return at;
    else if (code === QUOTE || code === APOSTROPHE) quote = code;
  }
  return 'incomplete';
}

/** The name at the beginning of a tag, empty if there is none. */
function nameAt(text: string, from: number, end: number): string {
  let at = from;
  while (at < end && text.charCodeAt(at) > 0x20) at += 1;
  const name = text.slice(from, at);
  return /^[^\d!?"'=/&.-][^!?"'=/&]*$/.test(name) ? name : '';
}
