/** The end of what a run printed: stretches of one stream each, in the order in which they were printed. */

/** Characters that are kept: all that comes of a run that has ended, and of one that goes on as many. */
const KEPT = 600_000;
/** Stretches that are kept: a browser takes long over more of them. */
const STRETCHES = 4000;

export class Printed {
  /** `{key, stream, text, skipped}`; `skipped` bytes of the stream are missing before the text. */
  stretches = [];
  /** Whether something was here and is not any more. */
  cut = false;
  #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  #skipped;
  #length = 0;
  #made = 0;

  /** @param skipped bytes of each stream that do not come */
  constructor(skipped = { stdout: 0, stderr: 0 }) {
    this.#skipped = { ...skipped };
  }

  add(stream, bytes) {
    const text = this.#decoders[stream].decode(bytes, { stream: true });
    if (text === '') return;
    const skipped = this.#skipped[stream];
    const last = this.stretches.at(-1);
    if (last?.stream === stream && skipped === 0) last.text += text;
    else this.stretches.push({ key: (this.#made += 1), stream, text, skipped });
    this.#skipped[stream] = 0;
    this.#length += text.length;
    this.#cut();
  }

  #cut() {
    for (let over = this.#length - KEPT; over > 0 || this.stretches.length > STRETCHES; over = this.#length - KEPT) {
      const [first] = this.stretches;
      const whole = this.stretches.length > STRETCHES || first.text.length <= over;
      if (whole) this.stretches.shift();
      else Object.assign(first, { text: first.text.slice(over), skipped: 0 });
      this.#length -= whole ? first.text.length : over;
      this.cut = true;
    }
  }
}
