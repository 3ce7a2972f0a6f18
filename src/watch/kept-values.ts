import { type KeyValue, StoredKeyValue } from "../model/key-value.ts";
import type { WatchEvent } from "../model/watch-event.ts";
import type { Entries } from "./mirror-batch.ts";

/** What entries may keep alive beyond their values, in all and for each: below it nothing is looked through. */
const SLACK_BYTES = 16 * 1024;
const SLACK_BYTES_EACH = 64;
/** Values are copied out of memory of which less than this share is values of entries. */
const DENSE = 0.75;

/**
 * Sees to it that the entries of a mirror keep little more alive than their values. A value lies in the message that
 * brought it, beside others that are replaced sooner, so messages of which little is left add up. When as much came and
 * went as there is, the entries are looked through, and what lies sparsely is copied together: for each byte that
 * comes, some two are looked at.
 */
export class KeptValues {
  /** The bytes of all values when they were last looked through. */
  #bytes = 0;
  /** What may be kept alive in vain since then. */
  #passed = 0;

  /** The entries of a list that was just read. */
  listed(kvs: readonly KeyValue[]): void {
    StoredKeyValue.settle(kvs);
    this.#bytes = kvs.reduce((sum, kv) => sum + StoredKeyValue.lengthOf(kv), 0);
    this.#passed = 0;
  }

  /** @param droppedBytes how long the values were that went when `events` were applied to `entries` */
  changed(entries: Entries, events: readonly WatchEvent[], droppedBytes: number): void {
    this.#passed += droppedBytes;
    let last: ArrayBufferLike | undefined;
    for (const { kv } of events) {
      const memory = StoredKeyValue.memoryOf(kv);
      // Those that came together lie together.
      if (!memory || memory === last) continue;
      this.#passed += memory.byteLength;
      last = memory;
    }
    if (this.#passed > this.#bytes + SLACK_BYTES + SLACK_BYTES_EACH * entries.size) this.#lookThrough(entries);
  }

  #lookThrough(entries: Entries): void {
    const used = new Map<ArrayBufferLike, number>();
    let bytes = 0;
    for (const kv of entries.values()) {
      const memory = StoredKeyValue.memoryOf(kv);
      if (!memory) continue;
      const length = StoredKeyValue.lengthOf(kv);
      bytes += length;
      used.set(memory, (used.get(memory) ?? 0) + length);
    }
    const sparse = (kv: KeyValue) => {
      const memory = StoredKeyValue.memoryOf(kv);
      return memory !== undefined && (used.get(memory) ?? 0) < DENSE * memory.byteLength;
    };
    StoredKeyValue.settle([...entries.values()].filter(sparse));
    this.#bytes = bytes;
    this.#passed = 0;
  }
}
