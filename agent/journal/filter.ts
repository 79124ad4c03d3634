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

/** The query for it, newest first. Times are compared by the ids, which begin with them and have an index. */
export function queryOf({ since, until, before, limit, ...fields }: RunFilter): { sql: string; values: (string | number)[] } {
  const given = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const parts = given.map(([name, value]) => (name === 'script' ? scriptCondition(value) : fieldCondition(name, value)));
  const conditions = parts.map(({ condition }) => condition);
  const values: (string | number)[] = parts.flatMap((part) => part.values);
  const bounds = [
    ['id >= ?', timeOf(since)],
    ['id < ?', timeOf(until)],
    ['id < ?', before],
  ] as const;
  for (const [condition, value] of bounds) {
    if (value === undefined) continue;
    conditions.push(condition);
    values.push(value);
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  return { sql: `SELECT * FROM runs ${where} ORDER BY id DESC LIMIT ?`, values: [...values, limit] };
}

/** Without the second half, SQLite does not use the index, which has only what is not empty. */
function fieldCondition(name: string, value: string): { condition: string; values: string[] } {
  return { condition: name === 'ticket' && value !== '' ? "ticket = ? AND ticket <> ''" : `${name} = ?`, values: [value] };
}

/** By its name, with or without extension. */
export function scriptCondition(name: string): { condition: string; values: string[] } {
  return { condition: '(script = ? OR script GLOB ?)', values: [name, `${name.replace(/[[*?]/g, '[$&]')}.*`] };
}

/** Crockford's base 32, as in a ULID. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The first ten characters of the ids of a moment. */
function timeOf(milliseconds: number | undefined): string | undefined {
  if (milliseconds === undefined) return undefined;
  return Array.from({ length: 10 }, (_, index) => DIGITS[Math.floor(milliseconds / 32 ** (9 - index)) % 32]).join('');
}
