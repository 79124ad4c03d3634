/** Numbers that a seed decides. */

export class Random {
  #state: number;

  /** Equal texts give equal numbers. */
  constructor(seed: string) {
    this.#state = 0x9e3779b9;
    for (const letter of seed) this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x85ebca6b) ^ (this.#state >>> 13);
  }

  /** From 0 to less than 1 (splitmix32). */
  fraction(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state ^ (this.#state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** A whole number up to `max`; small ones are as frequent as large ones, by order of magnitude. */
  size(max: number): number {
    return Math.floor(Math.exp(this.fraction() * Math.log(max + 1))) - 1;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }
}
