/** Runs and failures over time, as bars; and as a table for those who do not see them. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import htm from 'htm';
import { useLive } from './live.js';

const html = htm.bind(h);

const SPANS = [
  [24, 'a day'],
  [168, 'a week'],
  [720, '30 days'],
];
const WIDTH = 960;
const HEIGHT = 100;

export function Plot() {
  const [hours, setHours] = useState(24);
  const { value } = useLive(`/history?hours=${hours}`, 15_000);
  const buckets = value?.buckets ?? [];
  const most = Math.max(1, ...buckets.map(({ runs }) => runs));
  const sum = (field) => buckets.reduce((total, bucket) => total + bucket[field], 0);
  const summary = `${sum('runs')} runs, ${sum('failed')} of them failed`;
  const width = WIDTH / Math.max(1, buckets.length);
  const when = (from) => new Date(from).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'short' });
  return html`<section class="plot" aria-label="Runs over time">
    <p>
      <label
        >Last
        <select value=${hours} onChange=${(event) => setHours(Number(event.target.value))}>
          ${SPANS.map(([count, name]) => html`<option value=${count}>${name}</option>`)}
        </select></label
      >
      ${' '}<output>${value === undefined ? '' : summary}</output>
      <span class="legend"><span class="good"></span> ok <span class="failed"></span> failed <span class="going"></span> going on</span>
    </p>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${summary}>
      ${buckets.map(({ from, runs, failed, open }, index) => {
        const tall = (count) => (count / most) * HEIGHT;
        const x = index * width + 1;
        const bar = (kind, count, above) =>
          count === 0
            ? null
            : html`<rect class=${kind} x=${x} width=${Math.max(1, width - 2)} y=${HEIGHT - tall(above + count)} height=${tall(count)} />`;
        return html`<g key=${index}
          ><title>${when(from)}: ${runs} runs, ${failed} failed</title>
          <rect class="space" x=${x} width=${width - 2} y="0" height=${HEIGHT} />
          ${bar('failed', failed, 0)}${bar('going', open, failed)}${bar('good', runs - failed - open, failed + open)}
        </g>`;
      })}
    </svg>
    <p class="axis faint">
      <span>${buckets.length > 0 ? when(buckets[0].from) : ''}</span><span>at most ${most} in ${(hours / 48) * 60} min</span
      ><span>now</span>
    </p>
  </section>`;
}
