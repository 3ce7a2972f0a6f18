import { type KeyRange, rangeName } from "../model/key-range.ts";
import { PageSize } from "./page-size.ts";

/** So many ranges are remembered, those that were read last. */
const MOST_RANGES = 100;

/** What the lists of a client were like the last time. */
export class PageSizes {
  readonly #known = new Map<string, PageSize>();

  /** Of lists of this range, with or without values. */
  of(range: KeyRange, keysOnly = false): PageSize {
    // Who writes no types gives what is no boolean: it counts as one, and is not made into text.
    const name = `${keysOnly ? "keys" : "all"} ${rangeName(range)}`;
    const size = this.#known.get(name) ?? new PageSize();
    this.#known.delete(name);
    this.#known.set(name, size);
    if (this.#known.size > MOST_RANGES) this.#known.delete(this.#known.keys().next().value as string);
    return size;
  }
}
