import type { KeyRange } from "../model/key-range.ts";
import { PageSize } from "./page-size.ts";

/** So many ranges are remembered, those that were read last. */
const MOST_RANGES = 100;

/** What the lists of a client were like the last time. */
export class PageSizes {
  readonly #known = new Map<string, PageSize>();

  /** Of lists of this range, with or without values. */
  of({ start, end }: KeyRange, keysOnly = false): PageSize {
    const name = `${keysOnly} ${hex(start)} ${hex(end)}`;
    const size = this.#known.get(name) ?? new PageSize();
    this.#known.delete(name);
    this.#known.set(name, size);
    if (this.#known.size > MOST_RANGES) this.#known.delete(this.#known.keys().next().value as string);
    return size;
  }
}

function hex(bytes: Uint8Array = new Uint8Array()): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
