/**
 * Copies for what is sent later, when the caller has other things in its buffers: all of one request stand in one piece
 * of memory, since a piece for each key costs more than the copy.
 */
export class OwnBytes {
  readonly #memory: Buffer;
  #used = 0;

  /** @param length of all that will be copied */
  constructor(length: number) {
    this.#memory = Buffer.allocUnsafe(length);
  }

  copyOf(bytes: Uint8Array): Uint8Array {
    const start = this.#used;
    this.#memory.set(bytes, start);
    this.#used += bytes.length;
    return this.#memory.subarray(start, this.#used);
  }
}
