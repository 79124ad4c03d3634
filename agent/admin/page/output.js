/** What a run printed, as it comes: one pane, in which stderr is marked. */
import { h } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import htm from 'htm';
import { download, lines } from './client.js';
import { Printed } from './printed.js';
import { bytes, printable } from './text.js';

const html = htm.bind(h);

export function Output({ id, onEnd }) {
  const [state, setState] = useState(() => ({ printed: new Printed(), error: '', ended: false }));
  useEffect(() => {
    const stop = new AbortController();
    const got = { printed: new Printed(), error: '', ended: false };
    let frame = 0;
    const show = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setState({ ...got });
      });
    };
    const take = (line) => {
      if (line.stream !== undefined)
        got.printed.add(
          line.stream,
          Uint8Array.from(atob(line.data), (c) => c.charCodeAt(0)),
        );
      else if (line.skipped !== undefined) got.printed = new Printed(line.skipped);
      else {
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
  const { printed, error, ended } = state;
  const incomplete = printed.cut || printed.stretches.some(({ skipped }) => skipped > 0);
  return html`
    <h2>
      <span id="output-title">Output</span>${' '}
      <span class="faint">as printed, <span class="stderr">stderr</span> marked${ended ? '' : ' – as it comes'}</span>
    </h2>
    <p class="faint">${incomplete ? html`<${Whole} id=${id} />` : ''}</p>
    <p class="bad" role="alert">${error}</p>
    <${Pane} stretches=${printed.stretches} />
  `;
}

/** Where the rest of it is. */
function Whole({ id }) {
  const [error, setError] = useState('');
  const save = (stream) => download(`/runs/${id}/${stream}`, `${id}.${stream}`).catch((failure) => setError(failure.message));
  return html`Not all of it is shown here; mediator-agent runs logs ${id} prints it.
    ${['stdout', 'stderr'].map((stream) => html` <button onClick=${() => save(stream)}>Download ${stream}</button>`)}
    <span class="bad" role="alert">${error}</span>`;
}

/** Follows its end, unless somebody scrolled away from it. */
function Pane({ stretches }) {
  const element = useRef(null);
  const follows = useRef(true);
  // In the same frame: by the time of the scroll event, nothing more has come.
  useLayoutEffect(() => {
    if (follows.current) element.current.scrollTop = element.current.scrollHeight;
  });
  const scroll = ({ target }) => (follows.current = target.scrollTop + target.clientHeight > target.scrollHeight - 30);
  return html`<pre id="output" ref=${element} onScroll=${scroll} tabindex="0" role="region" aria-labelledby="output-title">
${stretches.length === 0 ? html`<span class="faint">nothing</span>` : stretches.map((stretch) => html`<${Stretch} ...${stretch} />`)}</pre>`;
}

function Stretch({ stream, text, skipped }) {
  const shown = useMemo(() => printable(text), [text]);
  // The mark is at each of its lines, and not at the one that its last line feed begins.
  const marked = stream === 'stderr' ? shown.replace(/\n$/, '') : '';
  return [
    skipped > 0 ? html`<span class="gap">${bytes(skipped)} of ${stream} before this are not shown</span>${'\n'}` : null,
    stream === 'stderr' ? html`<span class="stderr">${marked}</span>` : null,
    shown.slice(marked.length),
  ];
}
