/** What a script printed, on its way to who asked for it: a terminal, a pipe, or a program that reads JSON lines. */
import { StringDecoder } from 'node:string_decoder';
import type { Stream } from '../../protocol/records.ts';
import { printable } from './terminal.ts';

export interface Output {
  /** Where it is written to. */
  readonly target: NodeJS.WriteStream;
  /** Whether the target takes more at once. */
  write(data: Uint8Array): boolean;
  /** Writes what is left of a letter that did not come to its end. */
  end(): void;
}

/** @param json stdout gets one `{"stream": …, "text": …}` a line for both streams; bytes that are not UTF-8 are U+FFFD there */
export function outputTo(stream: Stream, json: boolean): Output {
  if (json) return textTo(process.stdout, (text) => `${JSON.stringify({ stream, text })}\n`);
  const target = process[stream];
  return target.isTTY ? textTo(target, visible) : { target, write: (data) => target.write(data), end: () => undefined };
}

function textTo(target: NodeJS.WriteStream, shown: (text: string) => string): Output {
  const decoder = new StringDecoder('utf8');
  const print = (text: string): boolean => text === '' || target.write(shown(text));
  return { target, write: (data) => print(decoder.write(Buffer.from(data))), end: () => void print(decoder.end()) };
}

/** Colours and the like, which say nothing by themselves. */
// eslint-disable-next-line no-control-regex -- they begin with one
const STYLES = /\x1b\[[0-9;]*m/g;

/** A terminal would obey what a script prints: it comes without colours and with all else made visible, but for lines and tabs. */
function visible(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .replace(STYLES, '')
    .replace(/[^\n\t]+/g, printable);
}
