/** Durations and sizes as people write them: `500ms`, `120s`, `2m`, `1h`, `7d`; `512`, `64KiB`, `64MiB`, `1GiB`, `10MB`. */
import { z } from 'zod';

const DURATIONS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES: Record<string, number> = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** The longest that a timer of Node takes; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/** How long something is kept, in milliseconds: a duration that no timer has to wait for. */
export const Age = z.string('must be a duration with a unit, for instance 30d').transform((text, context) => {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  const duration = Number(match?.[1]) * (DURATIONS[match?.[2] ?? ''] ?? 0);
  if (match) return duration;
  context.addIssue({ code: 'custom', message: `"${text}" is not a duration; write for instance 500ms, 120s, 2m, 1h or 30d` });
  return z.NEVER;
});

/** A duration with a unit, in milliseconds. */
export const Duration = Age.refine((duration) => duration <= LONGEST, 'is longer than 24 days');

/** A size, in bytes; a bare number is bytes. */
export const Size = z.union([z.int().nonnegative(), z.string()], 'must be a size, for instance 64MiB').transform((value, context) => {
  const match = /^(\d{1,12}) ?([A-Za-z]+)?$/.exec(String(value));
  const unit = SIZES[match?.[2] ?? 'B'];
  if (match && unit !== undefined) return Number(match[1]) * unit;
  context.addIssue({ code: 'custom', message: `"${value}" is not a size; write for instance 512KiB or 64MiB` });
  return z.NEVER;
});

/** As it can be written, in the largest unit of which it is a whole number: `2m`. */
export function formatDuration(milliseconds: number): string {
  return format(milliseconds, ['d', 'h', 'm', 's'], DURATIONS) ?? `${milliseconds}ms`;
}

/** The same of bytes: `64MiB`. */
export function formatSize(bytes: number): string {
  return format(bytes, ['GiB', 'MiB', 'KiB'], SIZES) ?? `${bytes}B`;
}

function format(value: number, names: string[], units: Record<string, number>): string | undefined {
  const name = value === 0 ? undefined : names.find((unit) => value % (units[unit] ?? Infinity) === 0);
  return name === undefined ? undefined : `${value / (units[name] ?? 1)}${name}`;
}
