/**
 * Where secrets stand in what a script prints. A masked byte is `*`, one for one: sizes, positions and totals of the history stay those of the
 * real bytes, which the caller gets.
 */

/** Bytes. A shorter secret would stand everywhere by chance. */
export const SHORTEST_SECRET = 6;

/** From here, up to there without it; in bytes from the beginning of a stream. */
export type Span = [from: number, to: number];

/**
 * What is looked for: each secret as it is, each of its lines, and as it looks in JSON, XML, a URL and Base64. In Base64 it looks different by where
 * it begins, and its first and last digits depend on its neighbours; what is sure is looked for. In hexadecimal, compressed, cut up or turned round
 * it is not found.
 */
export function patternsOf(secrets: readonly string[]): Buffer[] {
  const forms = secrets.flatMap((secret) => secret.split(/\r?\n/).concat(secret)).flatMap(formsOf);
  return [...new Set(forms)].map((form) => Buffer.from(form)).filter((form) => form.length >= SHORTEST_SECRET);
}

function formsOf(secret: string): string[] {
  if (Buffer.byteLength(secret) < SHORTEST_SECRET) return [];
  const xml = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const base64 = [0, 1, 2].map((before) => base64Of(Buffer.from(secret), before));
  const texts = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    xml,
    xml.replaceAll('"', '&quot;'),
    encodeURIComponent(secret.toWellFormed()),
  ];
  return [...texts, ...base64, ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))];
}

/** The digits that depend on the secret alone, if so many bytes (modulo 3) stand before it. */
function base64Of(secret: Buffer, before: number): string {
  const digits = Buffer.concat([Buffer.alloc(before), secret]).toString('base64');
  return digits.slice(Math.ceil((before * 8) / 6), Math.floor(((before + secret.length) * 8) / 6));
}

/** Finds patterns in a stream that comes in pieces. */
export class Scanner {
  readonly #patterns: readonly Buffer[];
  readonly #longest: number;
  /** The end of what came before: where a pattern may have begun. */
  #tail: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(patterns: readonly Buffer[]) {
    this.#patterns = patterns;
    this.#longest = Math.max(1, ...patterns.map(({ length }) => length));
  }

  /** The patterns that end in this piece, in order. They may overlap. */
  scan(piece: Buffer): Span[] {
    const text = Buffer.concat([this.#tail, piece]);
    const begin = this.#position - this.#tail.length;
    const spans = this.#patterns.flatMap((pattern) => {
      const found: Span[] = [];
      const first = Math.max(0, this.#tail.length - pattern.length + 1); // what ends in the tail was found before
      for (let at = text.indexOf(pattern, first); at >= 0; at = text.indexOf(pattern, at + 1))
        found.push([begin + at, begin + at + pattern.length]);
      return found;
    });
    this.#position += piece.length;
    this.#tail = text.subarray(Math.max(0, text.length - this.#longest + 1));
    return spans.sort(([a], [b]) => a - b);
  }

  /** No pattern that is not complete yet begins before this place. */
  get safe(): number {
    const held = this.#patterns.map((pattern) => beginningAtEnd(pattern, this.#tail));
    return this.#position - Math.max(0, ...held);
  }
}

/** How many bytes at the end of a text are the beginning of a pattern, and not all of it. */
function beginningAtEnd(pattern: Buffer, text: Buffer): number {
  const [first = 0] = pattern;
  for (let at = text.indexOf(first, Math.max(0, text.length - pattern.length + 1)); at >= 0; at = text.indexOf(first, at + 1))
    if (text.compare(pattern, 0, text.length - at, at) === 0) return text.length - at;
  return 0;
}

/** Overwrites what lies in the spans. @param position of the first byte in its stream */
export function maskBytes(bytes: Buffer, position: number, spans: readonly Span[]): void {
  const end = position + bytes.length;
  for (const [from, to] of spans)
    if (to > position && from < end) bytes.fill('*', Math.max(from, position) - position, Math.min(to, end) - position);
}

/** A text in which none of the patterns stands any more. */
export function maskText(text: string, patterns: readonly Buffer[]): string {
  if (patterns.length === 0) return text;
  const bytes = Buffer.from(text);
  maskBytes(bytes, 0, new Scanner(patterns).scan(bytes));
  return bytes.toString();
}
