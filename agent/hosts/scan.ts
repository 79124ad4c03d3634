/** One pass over XML that a host sent, in time that grows with its length alone: no tree is built, whatever the text is. */

/** The longest text that is looked into, in bytes, and the most tags: the worst that fits takes 10 ms once it is warm, 40 ms at first. */
export const SCAN_LIMIT = 1024 * 1024;
const MOST_TAGS = 50_000;
const MOST_LEVELS = 50;

const [QUOTE, APOSTROPHE, GREATER, LESS] = [0x22, 0x27, 0x3e, 0x3c];

/**
 * Tells the text of every element that has no element in it: entities as they are written, white space around it removed.
 * @param found gets the names from the root down to the element; the list changes as soon as it returns
 * @returns whether all of it was XML within our limits. If not, what was found is worth nothing
 */
export function scanXml(bytes: Buffer, found: (names: readonly string[], text: string) => void): boolean {
  if (bytes.length > SCAN_LIMIT) return false;
  const text = bytes.toString();
  const open: string[] = [];
  /** Of the element that was begun last, as long as it has no other in it. */
  let content: string | undefined;
  let roots = 0;
  const begin = (name: string): boolean => {
    if (open.length === 0) roots += 1;
    open.push(name);
    content = '';
    return name !== '' && roots === 1 && open.length <= MOST_LEVELS;
  };
  const end = (name: string | undefined): boolean => {
    if (open.at(-1) !== name) return false;
    if (content !== undefined) found(open, content.trim());
    content = undefined;
    open.pop();
    return true;
  };
  const add = (characters: string): boolean => {
    if (content !== undefined) content += characters;
    return open.length > 0 || characters.trim() === '';
  };

  let at = text.startsWith('\ufeff') ? 1 : 0;
  for (let tags = 0; tags <= MOST_TAGS; tags += 1) {
    const tag = text.indexOf('<', at);
    if (!add(text.slice(at, tag < 0 ? text.length : tag))) return false;
    if (tag < 0) return roots === 1 && open.length === 0;
    const markup = markupAt(text, tag);
    if (markup === undefined) return false;
    at = markup.end;
    if (markup.text !== undefined && !add(markup.text)) return false;
    if (markup.begins !== undefined && !begin(markup.begins)) return false;
    if (markup.ends !== undefined && !end(markup.ends)) return false;
  }
  return false;
}

/** What stands between `<` and `>`: where it ends, and the element that it begins, ends, or both; or the text in it. */
interface Markup {
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

function markupAt(text: string, at: number): Markup | undefined {
  const other = OTHERS.find(([first]) => text.startsWith(first, at));
  if (other !== undefined) {
    const [first, last] = other;
    const end = text.indexOf(last, at + first.length);
    if (end < 0) return undefined;
    return { end: end + last.length, ...(first === '<![CDATA[' ? { text: text.slice(at + first.length, end) } : {}) };
  }
  const last = endOfTag(text, at + 1);
  if (last < 0) return undefined;
  const end = last + 1;
  if (text[at + 1] === '/') return { end, ends: text.slice(at + 2, last).trimEnd() };
  if (text[last - 1] !== '/') return { end, begins: nameAt(text, at + 1, last) };
  const name = nameAt(text, at + 1, last - 1);
  return { end, begins: name, ends: name };
}

/** Where the tag ends, or -1: an attribute may have `>` in it, and no tag has `<`. */
function endOfTag(text: string, from: number): number {
  let quote = 0;
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === LESS) return -1;
    if (quote !== 0) {
      if (code === quote) quote = 0;
    } else if (code === GREATER) return at;
    else if (code === QUOTE || code === APOSTROPHE) quote = code;
  }
  return -1;
}

/** The name at the beginning of a tag, empty if there is none. */
function nameAt(text: string, from: number, end: number): string {
  let at = from;
  while (at < end && text.charCodeAt(at) > 0x20) at += 1;
  const name = text.slice(from, at);
  return /^[^\d!?"'=/&.-][^!?"'=/&]*$/.test(name) ? name : '';
}

/** Whether the names are these, one after another. */
export function isAt(place: readonly string[], names: readonly string[]): boolean {
  return place.length === names.length && place.every((name, index) => name === names[index]);
}
