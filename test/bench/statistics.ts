/** Medians, their spread, and ratios of samples that were taken in turns. */

export interface Ratio {
  /** Median of ours ÷ median of theirs. */
  value: number;
  /** First and third quartile of the ratios within one round. */
  low: number;
  high: number;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** @param share 0 to 1 */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (below === undefined || above === undefined) throw new Error('no samples were taken');
  return below + (above - below) * (at - Math.floor(at));
}

/** The n-th sample of both was taken in the same round. */
export function ratio(ours: readonly number[], theirs: readonly number[]): Ratio {
  const rounds = ours.slice(0, theirs.length).map((sample, index) => sample / (theirs[index] ?? Number.NaN));
  return { value: median(ours) / median(theirs), low: quantile(rounds, 0.25), high: quantile(rounds, 0.75) };
}
