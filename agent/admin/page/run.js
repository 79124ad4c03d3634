/** One run: what is known of it, and its output as it comes. */
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import htm from 'htm';
import { post } from './client.js';
import { useLive } from './live.js';
import { Output } from './output.js';
import { bytes, duration, moment, stateOf, visible } from './text.js';

const html = htm.bind(h);

const TIMES = ['accepted', 'started', 'ended', 'acknowledged', 'removed'];
const SIZES = ['stdin', 'stdout', 'stderr'];
const SHOWN_ABOVE = ['id', 'outcome', 'code', 'script', 'message'];

export function Run({ id }) {
  const [ended, setEnded] = useState(false);
  const { value: run, error, again } = useLive(`/runs/${id}`, ended ? 0 : 2000);
  const [note, setNote] = useState('');
  useEffect(() => {
    if (run !== undefined && run.outcome !== null) setEnded(true);
  }, [run]);
  if (run === undefined) return html`<p class="bad" role="alert">${error}</p>`;
  const act = async (action, question) => {
    if (!confirm(question)) return;
    try {
      const { id: fresh } = await post(`/runs/${id}/${action}`);
      if (fresh !== undefined) location.hash = `#/run/${fresh}`;
      else setNote('It is being ended.');
    } catch (failure) {
      setNote(failure.message);
    }
    again();
  };
  const [state, tone] = stateOf(run);
  const name = visible(run.script);
  return html`
    <h1>${name} <span class="state ${tone}">${state}</span></h1>
    <p>
      ${
        run.outcome === null
          ? html`<button onClick=${() => act('cancel', `End this run of ${name}?`)}>Cancel</button>`
          : html`<button onClick=${() => act('rerun', `Run ${name} once more, with the same input?`)}>Rerun</button>`
      }
      ${' '}<span role="status">${note}</span><span class="bad" role="alert">${error}</span>
    </p>
    ${run.message === '' ? null : html`<p class="bad">${visible(run.message)}</p>`}
    ${run.removed ? html`<p>Its output is not kept any more (retention in agent.yaml).</p>` : null}
    ${run.order === 'not known' ? html`<p>In which order it printed to stdout and stderr is not known; stdout comes first.</p>` : null}
    <${Output} id=${id} onEnd=${again} />
    <h2>Everything known</h2>
    <dl>
      <dt>run</dt>
      <dd><code>${run.id}</code></dd>
      ${Object.entries(run)
        .filter(([field]) => !SHOWN_ABOVE.includes(field))
        .map(
          ([field, value]) =>
            html`<dt>${field}</dt>
              <dd>${shown(field, value)}</dd>`,
        )}
    </dl>
  `;
}

function shown(field, value) {
  if (value === null || value === '') return '–';
  if (field === 'duration_ms' || field === 'timeout_ms') return duration(value);
  if (TIMES.includes(field)) return html`<time datetime=${value} title=${value}>${moment(value)}</time>`;
  if (SIZES.includes(field)) return bytes(value);
  if (field === 'rerun_of') return html`<a href="#/run/${encodeURIComponent(value)}">${visible(value)}</a>`;
  if (field === 'ticket') return html`<a href="#/runs?ticket=${encodeURIComponent(value)}">${visible(value)}</a>`;
  return html`<code>${visible(typeof value === 'object' ? JSON.stringify(value) : value)}</code>`;
}
