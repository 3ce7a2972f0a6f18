import { StoredKeyValue, sameKey } from "../model/key-value.ts";
import type { WatchBatch, WatchEvent } from "../model/watch-event.ts";
import type { WatchEvidence } from "./event-evidence.ts";
import type { HistoryEvidence } from "./history-evidence.ts";

/** So many events are remembered, of as many keys; none with a long value but the last. */
const MOST = 4;
const SHORT_VALUE_BYTES = 16 * 1024;

/**
 * What a watch that does not get all events knows of its history. A key that it saw put can be gone by now, one that it
 * saw deleted can be there again, and how many keys there are it does not know after the first batch. So each event
 * proves what was true at its own revision, as long as that is not compacted away, and nothing of what came later.
 */
export class FilteredEvidence implements WatchEvidence {
  #revision: number | undefined;
  #count: number | undefined;
  /** The last one first. */
  #events: readonly WatchEvent[] = [];

  read(revision: number, count: number): void {
    this.#revision = revision;
    this.#count = count;
  }

  saw(batch: WatchBatch): void {
    this.#revision = batch.revision;
    this.#count = undefined;
    const kept: WatchEvent[] = [];
    for (const event of [...batch.events.slice(-MOST).reverse(), ...this.#events]) {
      const isLong = StoredKeyValue.lengthOf(event.kv) > SHORT_VALUE_BYTES && kept.length > 0;
      if (isLong || kept.length === MOST || kept.some(({ kv }) => sameKey(kv, event.kv))) continue;
      kept.push({ type: event.type, kv: event.kv });
    }
    for (const { kv } of kept) StoredKeyValue.detach(kv);
    this.#events = kept;
  }

  evidence(): HistoryEvidence | undefined {
    if (this.#revision === undefined) return undefined;
    return { revision: this.#revision, count: this.#count, events: this.#events };
  }
}
