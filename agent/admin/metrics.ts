/** Counters, gauges and histograms in the text format of Prometheus (its documentation: Exposition formats). Numbers, seconds and bytes. */

export type Labels = Record<string, string>;

/** A value that is read when it is asked for. */
export type Sample = [labels: Labels, value: number];

interface Family {
  head: string;
  samples: () => string[];
}

export class Metrics {
  readonly #families: Family[] = [];

  /** Something that only grows. By convention its name ends in `_total`. */
  counter(name: string, help: string): (labels: Labels, by?: number) => void {
    const values = new Map<string, number>();
    this.#add(name, 'counter', help, () => [...values].map(([labels, value]) => `${name}${labels} ${value}`));
    return (labels, by = 1) => {
      const key = formatLabels(labels);
      values.set(key, (values.get(key) ?? 0) + by);
    };
  }

  /** Something that goes up and down. A gauge that cannot be read now has no sample. */
  gauge(name: string, help: string, read: () => number | undefined | Sample[]): void {
    this.#sampled(name, 'gauge', help, read);
  }

  /** Something that only grows, and is counted elsewhere. */
  counted(name: string, help: string, read: () => number | Sample[]): void {
    this.#sampled(name, 'counter', help, read);
  }

  /** @param bounds upper bounds of the buckets, ascending; one without a bound is added */
  histogram(name: string, help: string, bounds: readonly number[]): (labels: Labels, value: number) => void {
    const series = new Map<string, { labels: Labels; counts: number[]; sum: number }>();
    this.#add(name, 'histogram', help, () =>
      [...series.values()].flatMap(({ labels, counts, sum }) => {
        let count = 0;
        const buckets = [...bounds.map(String), '+Inf'].map((le, index) => {
          count += counts[index] ?? 0;
          return `${name}_bucket${formatLabels({ ...labels, le })} ${count}`;
        });
        return [...buckets, `${name}_sum${formatLabels(labels)} ${sum}`, `${name}_count${formatLabels(labels)} ${count}`];
      }),
    );
    return (labels, value) => {
      const key = formatLabels(labels);
      const found = series.get(key) ?? { labels, counts: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 };
      series.set(key, found);
      const bucket = bounds.findIndex((bound) => value <= bound);
      const index = bucket < 0 ? bounds.length : bucket;
      found.counts[index] = (found.counts[index] ?? 0) + 1;
      found.sum += value;
    };
  }

  render(): string {
    return this.#families
      .map(
        ({ head, samples }) =>
          head +
          samples()
            .map((sample) => `${sample}\n`)
            .join(''),
      )
      .join('');
  }

  #sampled(name: string, type: 'gauge' | 'counter', help: string, read: () => number | undefined | Sample[]): void {
    this.#add(name, type, help, () => {
      const value = read();
      if (value === undefined) return [];
      const samples: Sample[] = typeof value === 'number' ? [[{}, value]] : value;
      return samples.map(([labels, number]) => `${name}${formatLabels(labels)} ${number}`);
    });
  }

  #add(name: string, type: 'counter' | 'gauge' | 'histogram', help: string, samples: () => string[]): void {
    this.#families.push({ head: `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`, samples });
  }
}

/** The same as one page: a family that stands in several texts stands in it once, with all its samples. */
export function mergeMetrics(texts: string[]): string {
  const families = new Map<string, string>();
  for (const block of texts.flatMap((text) => text.split(/^(?=# HELP )/m))) {
    const [, head = '', samples = ''] = /^(# HELP .*\n# TYPE .*\n)([^]*)$/.exec(block) ?? [];
    if (head !== '') families.set(head, (families.get(head) ?? '') + samples);
  }
  return [...families].map(([head, samples]) => head + samples).join('');
}

/** Keeps a label that others choose from growing without end: so many values, and `other` for the rest. */
export class Bounded {
  readonly #known = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  of(value: string): string {
    if (this.#known.size < this.#most) this.#known.add(value);
    return this.#known.has(value) ? value : 'other';
  }
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escape(value: string): string {
  return value.toWellFormed().replace(/["\\\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
