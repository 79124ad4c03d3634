/** Which runs of the journal are asked for. */

export interface RunFilter {
  ticket?: string | undefined;
  script?: string | undefined;
  event?: string | undefined;
  outcome?: string | undefined;
  key?: string | undefined;
  /** Accepted at this moment or later, in milliseconds since the epoch. */
  since?: number | undefined;
  /** Accepted before. */
  until?: number | undefined;
  /** Only runs older than this id: for the next page. */
  before?: string | undefined;
  limit: number;
}

/** The query for a range of ids, newest first. Its parameters: where the range begins, what is behind it, `values`, and how many. */
export function queryOf({ ticket, script, event, outcome, key }: RunFilter): { sql: string; values: string[] } {
  const given = Object.entries({ ticket, script, event, outcome, key }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const parts = given.map(([name, value]) => (name === 'script' ? scriptCondition(value) : fieldCondition(name, value)));
  const where = ['id >= ?', 'id < ?', ...parts.map(({ condition }) => condition)].join(' AND ');
  return { sql: `SELECT * FROM runs WHERE ${where} ORDER BY id DESC LIMIT ?`, values: parts.flatMap((part) => part.values) };
}

/** The ids that are asked for, which begin with their times: `from` on, before `to`. */
export function rangeOf({ since, until, before }: RunFilter): { from: string; to: string } {
  const ends = [timeOf(until), before].filter((end) => end !== undefined).sort();
  return { from: timeOf(since) ?? '', to: ends[0] ?? BEHIND_ALL };
}

/** Without the second half, SQLite does not use the index, which has only what is not empty. */
function fieldCondition(name: string, value: string): { condition: string; values: string[] } {
  return { condition: name === 'ticket' && value !== '' ? "ticket = ? AND ticket <> ''" : `${name} = ?`, values: [value] };
}

/** By its name, with or without extension. */
export function scriptCondition(name: string): { condition: string; values: string[] } {
  return { condition: '(script = ? OR script GLOB ?)', values: [name, `${name.replace(/[[*?]/g, '[$&]')}.*`] };
}

/** Behind every id. */
const BEHIND_ALL = '~';
/** Crockford's base 32, as in a ULID. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The first ten characters of the ids of a moment. */
function timeOf(milliseconds: number | undefined): string | undefined {
  if (milliseconds === undefined) return undefined;
  return Array.from({ length: 10 }, (_, index) => DIGITS[Math.floor(milliseconds / 32 ** (9 - index)) % 32]).join('');
}
