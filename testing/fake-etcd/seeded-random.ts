/** Numbers that follow from a seed. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). Tommy Ettinger's mulberry32: 32 bits of state are plenty for a test. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From 1 to 2^63 - 1. */
  nextId(): bigint {
    const [high, low] = [Math.floor(this.next() * 2 ** 31), Math.floor(this.next() * 2 ** 32)];
    return (BigInt(high) << 32n) | BigInt(low) | 1n;
  }
}
