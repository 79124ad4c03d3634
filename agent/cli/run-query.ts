/** What a list is narrowed to, as options say it and as the runner's API takes it. */
import { Moment } from '../config/keys.ts';
import { Age } from '../config/units.ts';
import { UsageError } from './terminal.ts';

export interface ListOptions {
  ticket?: string;
  script?: string;
  event?: string;
  outcome?: string;
  key?: string;
  /** A date, or how long ago. */
  since?: string;
  until?: string;
  limit?: string;
  json?: boolean;
}

/** @throws UsageError */
export function runQuery({ since, until, ...filter }: Omit<ListOptions, 'json'>): URLSearchParams {
  const query = new URLSearchParams(Object.entries(filter));
  if (since !== undefined) query.set('since', momentOf('--since', since));
  if (until !== undefined) query.set('until', momentOf('--until', until));
  return query;
}

function momentOf(option: string, text: string): string {
  const age = Age.safeParse(text);
  if (age.success) return String(Math.max(0, Date.now() - age.data));
  const moment = Moment.safeParse(text);
  if (moment.success) return String(Math.max(0, moment.data));
  throw new UsageError(
    `${option} ${text}: is neither a date, for instance 2026-11-24 or 2026-11-24T12:00:00Z, nor how long ago, for instance 2h or 7d`,
  );
}
