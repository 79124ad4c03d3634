/** A line plot as SVG, both axes logarithmic or not, readable on light and dark. */

export interface Series {
  name: string;
  /** x, y */
  points: readonly (readonly [number, number])[];
}

export interface Plot {
  title: string;
  /** The shape that it should have. */
  expected: string;
  x: { label: string; log: boolean };
  y: { label: string; log: boolean };
  series: readonly Series[];
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 370, 72, 150, 62, 52];
/** Height of a line of text. */
const LINE = 14;
const COLOURS = ['#2f6fde', '#d9622b', '#2f9e5b', '#8e4ec6'];

export function drawPlot({ title, expected, x, y, series }: Plot): string {
  const all = series.flatMap(({ points }) => points);
  const across = axis(
    all.map(([value]) => value),
    x.log,
    [LEFT, WIDTH - RIGHT],
  );
  const up = axis([...all.map(([, value]) => value), ...(y.log ? [] : [0])], y.log, [HEIGHT - BOTTOM, TOP]);
  const labels = spread(series.map(({ points }) => up.place(points.at(-1)?.[1] ?? 0)));
  const lines = series.flatMap(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '#888';
    const places = points.map(([a, b]) => `${across.place(a).toFixed(1)},${up.place(b).toFixed(1)}`);
    return [
      `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...places.map((place) => `<circle cx="${place.replace(',', '" cy="')}" r="3" fill="${colour}"/>`),
      text(WIDTH - RIGHT + 10, (labels[index] ?? 0) + 4, name, `style="fill:${colour}" text-anchor="start"`),
    ];
  });
  const marks = [
    ...across.ticks.map((tick) => text(across.place(tick), HEIGHT - BOTTOM + 18, short(tick))),
    ...up.ticks.flatMap((tick) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${up.place(tick).toFixed(1)}" y2="${up.place(tick).toFixed(1)}" stroke="#888" stroke-opacity="0.3"/>`,
      text(LEFT - 8, up.place(tick) + 4, short(tick), 'text-anchor="end"'),
    ]),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">`,
    '<style>text{fill:#555}@media(prefers-color-scheme:dark){text{fill:#bbb}}</style>',
    text(LEFT, 22, title, 'font-size="15" text-anchor="start"'),
    text(LEFT, 40, `expected: ${expected}`, 'text-anchor="start"'),
    ...marks,
    ...lines,
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x.label),
    `<g transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">${text(0, 0, y.label)}</g>`,
    '</svg>\n',
  ].join('\n');
}

interface Axis {
  place: (value: number) => number;
  ticks: number[];
}

/** @param range where the least and the greatest value are, in pixels */
function axis(values: number[], log: boolean, [from, to]: [number, number]): Axis {
  const scale = (value: number): number => (log ? Math.log10(Math.max(value, 1e-3)) : value);
  const steps = log ? decades(values) : tens(values);
  const [low, high] = [scale(steps[0] ?? 0), scale(steps.at(-1) ?? 1)];
  return { ticks: steps, place: (value) => from + ((scale(value) - low) / (high - low || 1)) * (to - from) };
}

function decades(values: number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const [low, high] = [Math.floor(Math.log10(Math.min(...positive))), Math.ceil(Math.log10(Math.max(...positive)))];
  return Array.from({ length: Math.max(high - low, 1) + 1 }, (_, index) => 10 ** (low + index));
}

function tens(values: number[]): number[] {
  const high = Math.max(...values, 1e-9);
  const step = [1, 2, 5, 10].map((factor) => factor * 10 ** Math.floor(Math.log10(high / 4))).find((size) => high / size <= 5) ?? high;
  return Array.from({ length: Math.ceil(high / step) + 1 }, (_, index) => index * step);
}

/** Heights of labels, as near to those given as they fit below each other. */
function spread(heights: readonly number[]): number[] {
  const placed = [...heights];
  let below = -Infinity;
  for (const [height, index] of heights.map((own, at) => [own, at] as const).toSorted(([a], [b]) => a - b)) {
    below = Math.max(height, below + LINE);
    placed[index] = below;
  }
  return placed;
}

function text(x: number, y: number, content: string, attributes = 'text-anchor="middle"'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}

function short(value: number): string {
  for (const [size, unit] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (value >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
  return String(Number(value.toPrecision(3)));
}
