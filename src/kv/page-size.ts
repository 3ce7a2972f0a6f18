const FIRST_PAGE_KEYS = 32;
const SMALLEST_PAGE_KEYS = 16;
const LARGEST_PAGE_KEYS = 10_000;
const PAGE_BYTES = 2 * 1024 * 1024;
/** A page has so many times the keys of the last one at most: the next may be larger than those before. */
const GROWTH = 8;

/**
 * How many keys to ask for next so that an answer stays near 2 MiB, judged by those that came. etcd has no limit in
 * bytes: where small keys are followed by large ones an answer can be more, which the growth bounds. When a range is
 * read again, the pages of the last time say how to begin.
 */
export class PageSize {
  #keys = 0;
  #bytes = 0;
  #most = FIRST_PAGE_KEYS;
  /** What was refused once is not asked for again, unless the range has become much shorter since. */
  #ceiling = LARGEST_PAGE_KEYS;

  /** The range is read from its beginning: what came the last time counts as one page. */
  begin(): void {
    if (this.#keys === 0) return;
    if ((this.#bytes / this.#keys) * this.#ceiling < PAGE_BYTES / 4) {
      this.#ceiling = Math.min(LARGEST_PAGE_KEYS, this.#ceiling * 2);
    }
    this.#bytes /= this.#keys / FIRST_PAGE_KEYS;
    this.#keys = FIRST_PAGE_KEYS;
  }

  /** How long a key is with its value, on average; undefined until one has come. */
  get bytesEach(): number | undefined {
    return this.#keys === 0 ? undefined : this.#bytes / this.#keys;
  }

  /** A page of so many keys came, and so many bytes. */
  saw(keys: number, bytes: number): void {
    this.#bytes += bytes;
    this.#keys += keys;
    this.sawKeys(keys);
  }

  /** A page of so many keys came, without their values. */
  sawKeys(keys: number): void {
    this.#most = Math.min(LARGEST_PAGE_KEYS, Math.max(this.#most, keys * GROWTH));
  }

  /**
   * A page of so many keys was too large for something on its way, or for its time.
   *
   * @returns whether a smaller one can be asked for
   */
  refused(keys: number): boolean {
    if (keys <= 1) return false;
    this.#ceiling = Math.floor(keys / 2);
    return true;
  }

  next(): number {
    return Math.min(this.#ceiling, this.#fitting());
  }

  #fitting(): number {
    if (this.#keys === 0) return this.#most;
    const fitting = Math.floor(PAGE_BYTES / Math.max(1, this.#bytes / this.#keys));
    return Math.min(this.#most, Math.max(SMALLEST_PAGE_KEYS, fitting));
  }
}
