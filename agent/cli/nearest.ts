/** The name that somebody may have meant. */
import { Failure } from '../../protocol/failures.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { stemOf } from '../catalog/names.ts';

/** The path of the file that answers to a name. @throws Failure, which says what may have been meant if nothing does */
export function findScript(catalog: Catalog, name: string): string {
  try {
    return catalog.find(name);
  } catch (error) {
    const { code, message } = Failure.from(error);
    if (code !== 'no-such-script') throw error;
    const known = catalog.names();
    throw new Failure(code, message + didYouMean(name, [...known.map(stemOf), ...known]), { cause: error });
  }
}

/** For the end of a message; empty if nothing is near. */
export function didYouMean(name: string, known: string[]): string {
  const near = nearest(name, known);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** The one of them with the fewest letters that are others, missing or too many, if it is near enough. */
function nearest(name: string, known: string[]): string | undefined {
  const limit = Math.max(1, Math.floor(name.length / 3));
  const rated = known.map((other) => ({ other, distance: distanceBetween(name.toLowerCase(), other.toLowerCase()) }));
  return rated.filter(({ distance }) => distance <= limit).sort((a, b) => a.distance - b.distance)[0]?.other;
}

/** Levenshtein's. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let index = 0; index < a.length; index += 1) {
    const above = row;
    row = [index + 1];
    for (let at = 1; at <= b.length; at += 1) {
      const replaced = (above[at - 1] ?? 0) + Number(a[index] !== b[at - 1]);
      row.push(Math.min(replaced, (above[at] ?? 0) + 1, (row[at - 1] ?? 0) + 1));
    }
  }
  return row[b.length] ?? 0;
}
