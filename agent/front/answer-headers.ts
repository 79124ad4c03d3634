/** Headers of the answer to whoever was admitted. */
import type { IncomingHttpHeaders } from 'node:http';
import { HEADERS, INTERVALS, PATIENCE } from '../../protocol/constants.ts';
import type { Admitted } from './gate.ts';

/** Longest list of globs that is told, in bytes: stubs read lines of 4 KiB. */
const SCRIPTS_MAX = 2048;

/** The agent's proof; for a sidecar, how long it may wait; and for `mediator.sh --doctor`, what its key may call and the time. */
export function answerHeaders(headers: IncomingHttpHeaders, { key, proof }: Admitted): Record<string, string> {
  const want = headers[HEADERS.want];
  if (want === PATIENCE) return { [HEADERS.proof]: proof, [HEADERS.patience]: String(INTERVALS.patience / 1000) };
  if (want !== 'scripts') return { [HEADERS.proof]: proof };
  const globs = key.scripts.map((glob) => encodeURI(glob)).join(' ');
  const told = globs.length <= SCRIPTS_MAX ? globs : `${globs.slice(0, SCRIPTS_MAX)}...`;
  return { [HEADERS.proof]: proof, [HEADERS.scripts]: told, date: new Date().toUTCString() };
}
