import { type KeyValue, StoredKeyValue, sameKey } from "../model/key-value.ts";
import type { WatchBatch } from "../model/watch-event.ts";
import type { HistoryEvidence } from "./history-evidence.ts";
import { RecentDeletions } from "./recent-deletions.ts";

/** So many keys are remembered besides the one that was put last, and none with a long value: it is kept in memory. */
const MOST_OTHERS = 3;
const SHORT_VALUE_BYTES = 16 * 1024;

/** Gathers what proves a watch's history later. */
export interface WatchEvidence {
  /** A read saw the range at this revision with so many keys. */
  read(revision: number, count: number): void;
  saw(batch: WatchBatch): void;
  /** Undefined as long as nothing is known. */
  evidence(): HistoryEvidence | undefined;
}

/**
 * Gathers from a watch's own events what proves its history later: the keys that were put last, those that were
 * deleted last, the number of keys.
 */
export class EventEvidence implements WatchEvidence {
  #revision: number | undefined;
  #count: number | undefined;
  #newest: KeyValue | undefined;
  /** The last one first. */
  readonly #others: KeyValue[] = [];
  readonly #deletions = new RecentDeletions();

  read(revision: number, count: number): void {
    this.#revision = revision;
    this.#count = count;
  }

  saw(batch: WatchBatch): void {
    this.#revision = batch.revision;
    for (const { type, kv } of batch.events) {
      const created = type === "put" && kv.version === 1 ? 1 : 0;
      const gone = type === "delete" ? 1 : 0;
      if (this.#count !== undefined) this.#count += created - gone;
      if (type === "put") {
        this.#deletions.put(kv);
        this.#makeNewest(kv);
      } else {
        this.#deletions.deleted(kv, kv.modRevision);
        this.#leaveOut(kv);
        if (this.#newest && sameKey(this.#newest, kv)) this.#newest = undefined;
      }
    }
    if (this.#newest) StoredKeyValue.detach(this.#newest);
    for (const kv of this.#others) StoredKeyValue.detach(kv);
  }

  evidence(): HistoryEvidence | undefined {
    if (this.#revision === undefined) return undefined;
    return {
      revision: this.#revision,
      count: this.#count,
      newest: this.#newest,
      others: [...this.#others],
      deleted: this.#deletions.all,
    };
  }

  #makeNewest(kv: KeyValue): void {
    const last = this.#newest;
    this.#newest = kv;
    if (last && sameKey(last, kv)) return;
    this.#leaveOut(kv);
    if (!last || StoredKeyValue.lengthOf(last) > SHORT_VALUE_BYTES) return;
    this.#others.unshift(last);
    if (this.#others.length > MOST_OTHERS) this.#others.pop();
  }

  #leaveOut(kv: KeyValue): void {
    const place = this.#others.findIndex((other) => sameKey(other, kv));
    if (place !== -1) this.#others.splice(place, 1);
  }
}
