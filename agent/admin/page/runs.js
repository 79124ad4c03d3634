/** The list of runs, newest first, and how many there were. */
import { h } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import htm from 'htm';
import { get } from './client.js';
import { useLive } from './live.js';
import { Plot } from './plot.js';
import { Refused } from './refused.js';
import { duration, moment, stateOf, visible } from './text.js';

const html = htm.bind(h);

const PAGE = 50;
const FIELDS = ['ticket', 'script', 'event', 'key'];
const OUTCOMES = ['', 'exited', 'signaled', 'timed-out', 'cancelled', 'refused', 'lost'];

export function Runs({ query }) {
  const filter = new URLSearchParams([...query].filter(([name, value]) => value !== '' && [...FIELDS, 'outcome'].includes(name)));
  const path = `/runs?${filter}&limit=${PAGE}`;
  const { value, error } = useLive(path, 2000);
  const [older, setOlder] = useState({ path, runs: [], end: false });
  useEffect(() => setOlder({ path, runs: [], end: false }), [path]);
  const newest = value?.runs ?? [];
  const ids = new Set(newest.map(({ id }) => id));
  const runs = [...newest, ...older.runs.filter(({ id }) => !ids.has(id))];
  const more = async () => {
    const page = await get(`${path}&before=${runs.at(-1).id}`);
    setOlder((old) => ({
      path,
      runs: [...old.runs, ...newest.filter(({ id }) => old.runs.length === 0 || id > old.runs[0].id), ...page.runs].sort((a, b) =>
        a.id < b.id ? 1 : -1,
      ),
      end: page.runs.length < PAGE,
    }));
  };
  return html`
    <${Plot} />
    <${Search} query=${query} />
    <p class="bad" role="alert">${error}</p>
    <div class="wide">
      <table class="runs">
        <caption class="hidden">
          Runs, newest first
        </caption>
        <thead>
          <tr>
            <th scope="col">Accepted</th>
            <th scope="col">Script</th>
            <th scope="col">Event</th>
            <th scope="col">Ticket</th>
            <th scope="col">State</th>
            <th scope="col" class="number">Time</th>
            <th scope="col">Key</th>
          </tr>
        </thead>
        <tbody>
          ${runs.map((run) => html`<${Row} key=${run.id} run=${run} />`)}
        </tbody>
      </table>
    </div>
    ${value !== undefined && runs.length === 0 ? html`<p class="faint">No runs here.</p>` : null}
    ${runs.length >= PAGE && !older.end ? html`<button onClick=${more}>Older runs</button>` : null}
    ${filter.has('outcome') ? null : html`<${Refused} filter=${filter} />`}
  `;
}

function Row({ run }) {
  const [state, tone] = stateOf(run);
  return html`<tr>
    <td title=${run.accepted}><a href="#/run/${run.id}">${moment(run.accepted)}</a></td>
    <td>${visible(run.script)}</td>
    <td>${visible(run.event)}</td>
    <td>${run.ticket === '' ? '' : html`<a href="#/runs?ticket=${encodeURIComponent(run.ticket)}">${visible(run.ticket)}</a>`}</td>
    <td><span class="state ${tone}">${state}</span></td>
    <td class="number">${duration(run.duration_ms)}</td>
    <td>${visible(run.key)}</td>
  </tr>`;
}

function Search({ query }) {
  const submit = (event) => {
    event.preventDefault();
    const given = [...new FormData(event.target)].filter(([, value]) => value.trim() !== '').map(([name, value]) => [name, value.trim()]);
    location.hash = `#/runs?${new URLSearchParams(given)}`;
  };
  return html`<form class="search" role="search" key=${String(query)} onSubmit=${submit}>
    ${FIELDS.map((name) => html`<label>${name}<input name=${name} value=${query.get(name) ?? ''} /></label>`)}
    <label
      >outcome<select name="outcome">
        ${OUTCOMES.map((name) => html`<option value=${name} selected=${name === (query.get('outcome') ?? '')}>${name || 'any'}</option>`)}
      </select></label
    >
    <button>Search</button>
    <a href="#/runs">All</a>
  </form>`;
}
