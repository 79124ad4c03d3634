/** One run: what is known of it, and its output as it comes. */
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import htm from 'htm';
import { lines, post } from './client.js';
import { useLive } from './live.js';
import { bytes, duration, moment, printable, stateOf, visible } from './text.js';

const html = htm.bind(h);

/** Characters of a stream that are shown: its end. */
const KEPT = 300_000;
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

function Output({ id, onEnd }) {
  const [text, setText] = useState({ stdout: '', stderr: '', note: '', error: '', ended: false });
  useEffect(() => {
    const stop = new AbortController();
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
    const got = { stdout: '', stderr: '', note: '', error: '', ended: false };
    let frame = 0;
    const show = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setText({ ...got });
      });
    };
    const take = (line) => {
      if (line.stream !== undefined) {
        const more = decoders[line.stream].decode(
          Uint8Array.from(atob(line.data), (c) => c.charCodeAt(0)),
          { stream: true },
        );
        got[line.stream] = (got[line.stream] + more).slice(-KEPT);
      } else if (line.skipped !== undefined) {
        const skipped = line.skipped.stdout + line.skipped.stderr;
        if (skipped > 0) got.note = `${bytes(skipped)} before this are not shown; mediator-agent runs logs ${id} prints all.`;
      } else {
        got.ended = true;
        onEnd();
      }
      show();
    };
    lines(`/runs/${id}/output`, stop.signal, take)
      .then(() => !got.ended && Object.assign(got, { error: 'The connection was lost; load the page again.' }))
      .catch((failure) => failure.name !== 'AbortError' && Object.assign(got, { error: failure.message }))
      .finally(show);
    return () => stop.abort();
  }, [id]);
  return html`
    <p class="faint">${text.note}</p>
    <p class="bad" role="alert">${text.error}</p>
    <${Pane} name="stdout" text=${text.stdout} ended=${text.ended} />
    <${Pane} name="stderr" text=${text.stderr} ended=${text.ended} />
  `;
}

/** Follows its end, unless somebody scrolled away from it. */
function Pane({ name, text, ended }) {
  const element = useRef(null);
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current) element.current.scrollTop = element.current.scrollHeight;
  }, [text]);
  const scroll = ({ target }) => (follows.current = target.scrollTop + target.clientHeight > target.scrollHeight - 30);
  return html`
    <h2 id="${name}-title">${name} ${ended ? null : html`<span class="faint">– as it comes</span>`}</h2>
    <pre id=${name} ref=${element} onScroll=${scroll} tabindex="0" role="region" aria-labelledby="${name}-title">
${text === '' ? html`<span class="faint">nothing</span>` : printable(text)}</pre>
  `;
}
