/** One pass over XML that a host sent, in time that grows with its length alone: no tree is built, whatever the text is. */
import { markupAt, type Markup } from './markup.ts';

/** The longest text that is looked into at once, in bytes, and the most tags: the worst that fits takes 10 ms once it is warm, 40 ms at first. */
export const SCAN_LIMIT = 1024 * 1024;
const MOST_TAGS = 50_000;
const MOST_LEVELS = 50;
/** Characters of a comment, or of a tag with its attributes. */
const LONGEST_MARKUP = SCAN_LIMIT;
/** Characters of an element's text. A longer one is told as an empty one. */
const LONGEST_TEXT = 64 * 1024;

/**
 * Is told the text of every element that has no element in it: entities as they are written, white space around it removed.
 * @param names from the root down to the element; the list changes as soon as it returns
 */
export type Found = (names: readonly string[], text: string) => void;

/** @returns whether all of it was XML within our limits. If not, what was found is worth nothing */
export function scanXml(bytes: Buffer, found: Found): boolean {
  if (bytes.length > SCAN_LIMIT) return false;
  const scan = new XmlScan(found, MOST_TAGS);
  return scan.push(bytes.toString()) && scan.end();
}

/** The same for a text that comes in pieces, cut anywhere. */
export class XmlScan {
  readonly #found: Found;
  readonly #mostTags: number;
  readonly #open: string[] = [];
  /** Of the element that was begun last, as long as it has no other in it. */
  #content: string | undefined;
  #roots = 0;
  #tags = 0;
  #begun = false;
  /** The beginning of a tag whose end is to come. */
  #rest = '';

  constructor(found: Found, mostTags: number) {
    this.#found = found;
    this.#mostTags = mostTags;
  }

  /** @returns false as soon as it is no XML within our limits; then it is over */
  push(piece: string): boolean {
    const text = this.#rest + piece;
    let at = !this.#begun && text.startsWith('\ufeff') ? 1 : 0;
    this.#begun ||= text !== '';
    for (;;) {
      const tag = text.indexOf('<', at);
      if (!this.#add(text.slice(at, tag < 0 ? text.length : tag))) return false;
      const markup = tag < 0 ? 'incomplete' : markupAt(text, tag);
      if (markup === 'incomplete') {
        this.#rest = tag < 0 ? '' : text.slice(tag);
        return this.#rest.length <= LONGEST_MARKUP;
      }
      if (markup === 'broken' || !this.#take(markup)) return false;
      at = markup.end;
    }
  }

  /** @returns whether all of it was XML */
  end(): boolean {
    return this.#rest === '' && this.#roots === 1 && this.#open.length === 0;
  }

  #take({ text, begins, ends }: Markup): boolean {
    this.#tags += 1;
    if (this.#tags > this.#mostTags) return false;
    if (text !== undefined && !this.#add(text)) return false;
    if (begins !== undefined && !this.#begin(begins)) return false;
    return ends === undefined || this.#end(ends);
  }

  #begin(name: string): boolean {
    if (this.#open.length === 0) this.#roots += 1;
    this.#open.push(name);
    this.#content = '';
    return name !== '' && this.#roots === 1 && this.#open.length <= MOST_LEVELS;
  }

  #end(name: string): boolean {
    if (this.#open.at(-1) !== name) return false;
    if (this.#content !== undefined) this.#found(this.#open, this.#content.length > LONGEST_TEXT ? '' : this.#content.trim());
    this.#content = undefined;
    this.#open.pop();
    return true;
  }

  #add(characters: string): boolean {
    if (this.#content !== undefined && this.#content.length <= LONGEST_TEXT) this.#content += characters;
    return this.#open.length > 0 || characters.trim() === '';
  }
}

/** Whether the names are these, one after another. */
export function isAt(place: readonly string[], names: readonly string[]): boolean {
  return place.length === names.length && place.every((name, index) => name === names[index]);
}
