/** What can be called, when, and by whom. */
import { h } from 'preact';
import htm from 'htm';
import { useLive } from './live.js';
import { bytes, duration, visible } from './text.js';

const html = htm.bind(h);

export function Scripts() {
  const { value, error } = useLive('/scripts', 10_000);
  return html`
    <h1>Scripts</h1>
    <p class="bad" role="alert">${error}</p>
    ${value?.scripts.map(
      ({ name, problem, sha256, manifest_sha256, approval, command, manifest }) =>
        html`<details key=${name}>
          <summary>
            <strong>${visible(name)}</strong>
            <span class="state ${problem === undefined ? 'ok' : 'bad'}">${problem?.code ?? 'ready'}</span>
            ${visible(problem?.message ?? manifest?.description ?? '')}
          </summary>
          <dl>
            <dt>runs</dt>
            <dd><a href="#/runs?script=${encodeURIComponent(name)}">its runs</a></dd>
            ${
              sha256 === undefined
                ? null
                : html`<dt>command</dt>
                    <dd><code>${visible(command.join(' '))}</code></dd>
                    <dt>sha-256</dt>
                    <dd><code>${sha256}</code></dd>
                    <dt>manifest</dt>
                    <dd><code>${manifest_sha256 || 'none'}</code></dd>`
            }
            ${approval === undefined ? null : html`<${Approval} ...${approval} />`}
            ${Object.entries(manifest ?? {}).map(
              ([field, setting]) =>
                html`<dt>${visible(field)}</dt>
                  <dd><code>${visible(shown(field, setting))}</code></dd>`,
            )}
          </dl>
        </details>`,
    )}
  `;
}

function shown(field, setting) {
  if (field === 'timeout' || field === 'grace') return duration(setting);
  if (field === 'output-limit' || field === 'memory') return bytes(setting);
  if (field === 'limits') {
    return Object.entries(setting)
      .map(([limit, value]) => `${limit} ${shown(limit, value)}`)
      .join(', ');
  }
  return typeof setting === 'string' ? setting : JSON.stringify(setting);
}

/** Approving itself is for the agent's host: whoever has this page's token may not decide what runs there. */
function Approval({ state, at, by, sha256, manifest_sha256 }) {
  return html`
    <dt>approval</dt>
    <dd>${state === 'approved' ? `approved ${at} by ${visible(by)}` : `waits for approval: ${state}`}</dd>
    ${
      state === 'changed'
        ? html`<dt>approved was</dt>
            <dd><code>${sha256}, manifest ${manifest_sha256 || 'none'}</code>, ${at} by ${visible(by)}</dd>`
        : null
    }
  `;
}

export function Tasks() {
  const { value, error } = useLive('/tasks', 10_000);
  return html`
    <h1>Tasks</h1>
    <p class="bad" role="alert">${error}</p>
    <${Table}
      caption="Tasks"
      head=${['Task', 'Trigger', 'Action', 'State', 'File', '']}
      rows=${value?.tasks.map((task) => [
        task.name,
        task.trigger,
        task.action,
        task.problem === '' ? (task.enabled ? 'enabled' : 'disabled') : 'broken',
        task.file,
        task.problem || task.description,
      ])}
    />
  `;
}

export function Keys() {
  const { value, error } = useLive('/keys', 10_000);
  const fields = [...new Set(value?.keys.flatMap((key) => Object.keys(key)) ?? [])];
  const cell = (setting) =>
    Array.isArray(setting) ? setting.join(', ') : setting === undefined || setting === null ? '' : String(setting);
  return html`
    <h1>Keys</h1>
    <p class="bad" role="alert">${error}</p>
    <${Table} caption="Keys" head=${fields} rows=${value?.keys.map((key) => fields.map((field) => cell(key[field])))} />
  `;
}

function Table({ caption, head, rows }) {
  if (rows === undefined) return null;
  if (rows.length === 0) return html`<p class="faint">There are none.</p>`;
  return html`<div class="wide">
    <table>
      <caption class="hidden">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((name) => html`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((text) => html`<td>${visible(text)}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
