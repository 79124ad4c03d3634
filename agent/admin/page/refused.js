/** Calls of which there is no run, because they were refused: the newest, folded up until somebody asks. */
import { h } from 'preact';
import htm from 'htm';
import { useLive } from './live.js';
import { moment, visible } from './text.js';

const html = htm.bind(h);

const SHOWN = 20;

/** `filter`: as of the runs above, but for their outcome. */
export function Refused({ filter }) {
  const { value, error } = useLive(`/refused?${filter}&limit=${SHOWN}`, 5000);
  const refused = value?.refused ?? [];
  if (refused.length === 0) return html`<p class="bad" role="alert">${error}</p>`;
  const count = refused.length === 1 ? '1 refused call' : `${refused.length < SHOWN ? '' : 'the last '}${refused.length} refused calls`;
  return html`<details class="refused">
    <summary>${`${count}, the newest ${moment(refused[0].at)}`}</summary>
    <div class="wide">
      <table>
        <caption class="hidden">
          Refused calls, newest first
        </caption>
        <thead>
          <tr>
            ${['Refused', 'Script', 'Event', 'Ticket', 'Key', 'Code', 'Why'].map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${refused.map(
            ({ at, script, event, ticket, key, code, reason }) =>
              html`<tr>
                <td title=${at}>${moment(at)}</td>
                ${[script, event, ticket, key, code, reason].map((text) => html`<td>${visible(text)}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}
