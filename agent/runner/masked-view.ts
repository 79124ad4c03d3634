/** A run as its history shows it: in the order in which it was printed, and secrets are masked, byte for byte. Callers get the bytes as they are. */
import type { Stream } from '../../protocol/records.ts';
import { maskBytes } from '../keeper/masking.ts';
import { readMasks, type Masks } from '../keeper/masks-file.ts';
import { Turns } from '../keeper/order-file.ts';
import type { RunView } from './view.ts';

/** @param folder of the run in the spool */
export function maskedView(view: RunView, folder: string): RunView {
  let known: { at: string; masks: Masks | undefined } | undefined;
  // Lengths before the file: whatever is in the spool by then stands in the file as well.
  const masks = (): Masks | undefined => {
    const at = `${view.length('stdout')} ${view.length('stderr')} ${view.terminal === undefined}`;
    if (known?.at !== at) known = { at, masks: readMasks(folder) };
    return known.masks;
  };
  const lengthOf = (stream: Stream): number => {
    const length = view.length(stream);
    return view.terminal === undefined ? Math.min(length, masks()?.safe[stream] ?? length) : length;
  };
  return {
    id: view.id,
    get terminal() {
      return view.terminal;
    },
    length: lengthOf,
    read: (stream, position, max) => {
      const bytes = view.read(stream, position, Math.min(max, lengthOf(stream) - position));
      const found = masks();
      if (found === undefined) return bytes;
      const masked = Buffer.from(bytes);
      maskBytes(masked, position, [...found.spans[stream], [found.safe[stream], Infinity]]);
      return masked;
    },
    turns: () => new Turns(folder),
    subscribe: (callback) => view.subscribe(callback),
  };
}
