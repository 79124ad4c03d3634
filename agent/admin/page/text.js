/** Text from outside as people may see it: nothing invisible, nothing that changes the rest of the line. */

/** Colours and the like; they say nothing by themselves. */
// eslint-disable-next-line no-control-regex -- they begin with one
const STYLES = /\x1b\[[0-9;]*m/g;
/** Control characters, and those that turn or hide text (Unicode: bidirectional controls, zero width, tags). */
// eslint-disable-next-line no-control-regex -- they are what is replaced
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** One line. */
export function visible(text) {
  return printable(String(text ?? '')).replace(/[\n\t]/g, symbolOf);
}

/** Output: lines and tabs stay, colours go. */
export function printable(text) {
  return text.replace(/\r\n/g, '\n').replace(STYLES, '').replace(HIDDEN, symbolOf);
}

function symbolOf(character) {
  return `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

export function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let index = 0;
  for (; count >= 1000 && index < units.length - 1; index += 1) count /= 1000;
  return `${index === 0 ? count : count.toFixed(1)} ${units[index]}`;
}

export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return '';
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const seconds = milliseconds / 1000;
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** In the time of the browser; the title has it in UTC. */
export function moment(iso) {
  return iso === null || iso === undefined ? '' : new Date(iso).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'medium' });
}

/** How a run stands, in a word, and whether that is good. */
export function stateOf({ outcome, code, started }) {
  if (outcome === null) return started === null ? ['queued', 'open'] : ['running', 'open'];
  return outcome === 'exited' ? [`exit ${code}`, code === 0 ? 'ok' : 'bad'] : [outcome, 'bad'];
}
