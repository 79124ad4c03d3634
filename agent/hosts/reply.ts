/** Is this stdout the answer that the host reads? */
import { KINDS, type Kind } from '../config/kinds.ts';
import { readVerdict, readXmlAnswer, type Answer } from './answers.ts';
import { XML_LIMIT } from './xml.ts';

/** The longest answer that is looked into, in bytes. */
export const REPLY_LIMIT = XML_LIMIT;

/** `stdout`: what the host gets of a good answer; null for all of it as it was printed. `answer`: what it reads there, unless the exit code is the answer. */
export type Checked = { ok: true; stdout: Buffer | null; answer?: Answer; warning?: string } | { ok: false; problem: string };

/** Whether stdout is an answer, which the host must not see before it was checked. */
export function answersOnStdout(kind: Kind | undefined): boolean {
  return kind !== undefined && KINDS[kind].answer !== 'exit';
}

/**
 * Checks the answer of a script that exited with 0.
 * @param lastJson take the last JSON object of the output, for scripts that print lines around it
 */
export function checkReply(kind: Kind, stdout: Buffer, lastJson: boolean): Checked {
  const { answer } = KINDS[kind];
  if (answer === 'exit') return { ok: true, stdout: null };
  if (stdout.length > REPLY_LIMIT)
    return { ok: false, problem: `the answer is longer than ${REPLY_LIMIT} bytes, more than any host reads` };
  const text = stdout.toString().trim();
  if (text === '') return { ok: false, problem: 'the script printed nothing, and its host expects an answer on stdout' };
  if (answer === 'verdict') return checkVerdict(text, lastJson);
  const read = readXmlAnswer(answer, text);
  return read.ok ? { ok: true, stdout: null, answer: read.answer } : read;
}

function checkVerdict(text: string, lastJson: boolean): Checked {
  const value = lastJson ? lastObject(text) : parseJson(text);
  const read = readVerdict(value);
  if (!read.ok) return read;
  const { answer } = read;
  const stdout = lastJson ? Buffer.from(`${JSON.stringify(value)}\n`) : null;
  if (answer.type !== 'verdict' || answer.result === 'success' || answer.result === 'failure') return { ok: true, stdout, answer };
  const warning = `the verdict "${answer.result.slice(0, 50)}" is neither success nor failure; Check Point goes on`;
  return { ok: true, stdout, answer, warning };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How much of an output may be tried as JSON, in characters; 10 ms. Output that was made to be searched for long is not an answer. */
const SEARCH = 1024 * 1024;
/** What one vain try costs, beyond its length. */
const ATTEMPT = 1024;

/** The last object that ends where a line ends, and begins where one begins. */
function lastObject(text: string): unknown {
  const lines = text.split('\n');
  const firsts = lines.flatMap((line, index) => (line.trimStart().startsWith('{') ? [index] : []));
  let left = SEARCH;
  for (let last = lines.length - 1; last >= 0; last -= 1) {
    if (lines[last]?.trimEnd().endsWith('}') !== true) continue;
    for (let at = firsts.length - 1; at >= 0; at -= 1) {
      const first = firsts[at] ?? 0;
      if (first > last) continue;
      const candidate = lines.slice(first, last + 1).join('\n');
      left -= candidate.length + ATTEMPT;
      if (left < 0) return undefined;
      const value = parseJson(candidate);
      if (value !== undefined) return value;
    }
  }
  return undefined;
}
