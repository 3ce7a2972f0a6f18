const FIRST_PAGE_KEYS = 256;
const SMALLEST_PAGE_KEYS = 16;
const LARGEST_PAGE_KEYS = 10_000;
const PAGE_BYTES = 2 * 1024 * 1024;

/** How many keys to ask for next so that an answer stays near 2 MiB, judged by those that came. */
export class PageSize {
  #keys = 0;
  #bytes = 0;

  saw(kvs: readonly { keyBytes: Uint8Array; value: Uint8Array }[]): void {
    for (const kv of kvs) this.#bytes += kv.keyBytes.length + kv.value.length;
    this.#keys += kvs.length;
  }

  next(): number {
    if (this.#keys === 0) return FIRST_PAGE_KEYS;
    const fitting = Math.floor(PAGE_BYTES / Math.max(1, this.#bytes / this.#keys));
    return Math.min(LARGEST_PAGE_KEYS, Math.max(SMALLEST_PAGE_KEYS, fitting));
  }
}
