/** A manifest for people: durations and sizes with their units, as they are written. */
import { formatDuration, formatSize } from '../config/units.ts';

const DURATIONS = ['timeout', 'grace'];
const SIZES = ['output-limit', 'memory'];

export function manifestFacts(manifest: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(manifest).map(([field, setting]) => [field, shown(field, setting)]));
}

function shown(field: string, setting: unknown): unknown {
  if (typeof setting === 'number')
    return DURATIONS.includes(field) ? formatDuration(setting) : SIZES.includes(field) ? formatSize(setting) : setting;
  if (field !== 'limits' || typeof setting !== 'object' || setting === null) return setting;
  return manifestFacts({ ...setting });
}
