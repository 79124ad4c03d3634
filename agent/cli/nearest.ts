/** The name that somebody may have meant. */

/** The one of them with the fewest letters that are others, missing or too many, if it is near enough. */
export function nearest(name: string, known: string[]): string | undefined {
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
