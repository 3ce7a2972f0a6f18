import { type KeyValue, sameKey } from "../model/key-value.ts";
import type { WatchBatch } from "../model/watch-event.ts";
import type { HistoryEvidence } from "./history-proof.ts";

/** Gathers from a watch's own events what proves its history later: the last key put, the last deleted, the number of keys. */
export class EventEvidence {
  #revision: number | undefined;
  #count: number | undefined;
  #entry: KeyValue | undefined;
  #missing: KeyValue | undefined;

  /** A read saw the range at this revision with so many keys. */
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
        this.#entry = kv;
        if (this.#missing && sameKey(this.#missing, kv)) this.#missing = undefined;
      } else {
        if (this.#entry && sameKey(this.#entry, kv)) this.#entry = undefined;
        this.#missing = kv;
      }
    }
  }

  /** Undefined as long as nothing is known. */
  evidence(): HistoryEvidence | undefined {
    if (this.#revision === undefined) return undefined;
    return { revision: this.#revision, entry: this.#entry, missing: this.#missing?.keyBytes, count: this.#count };
  }
}
