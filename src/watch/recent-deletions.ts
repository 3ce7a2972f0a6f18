import type { KeyValue } from "../model/key-value.ts";
import { entryName } from "./mirror-batch.ts";

/** So many are remembered, the last ones. */
const MOST = 4;

/** A key that is not there any more. */
export interface Deletion {
  readonly keyBytes: Uint8Array;
  /** When it was deleted; undefined where only a list showed that it is gone. */
  readonly revision: number | undefined;
}

/** The keys that were deleted last and were not put again. */
export class RecentDeletions {
  /** In the order in which they went. */
  readonly #deleted = new Map<string, Deletion>();

  deleted(kv: KeyValue, revision: number | undefined): void {
    const name = entryName(kv);
    this.#deleted.delete(name);
    this.#deleted.set(name, { keyBytes: kv.keyBytes, revision });
    if (this.#deleted.size > MOST) this.#deleted.delete(this.#deleted.keys().next().value as string);
  }

  put(kv: KeyValue): void {
    if (this.#deleted.size > 0) this.#deleted.delete(entryName(kv));
  }

  /** The last one first. */
  get all(): readonly Deletion[] {
    return [...this.#deleted.values()].reverse();
  }
}
