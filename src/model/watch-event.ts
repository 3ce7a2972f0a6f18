import type { KeyValue } from "./key-value.ts";

/** A key was put: `kv` is its new state. `previous`, if asked for and not compacted away, is the state before. */
export interface PutEvent {
  readonly type: "put";
  readonly kv: KeyValue;
  readonly previous?: KeyValue;
}

/** A key was deleted: `kv` has its key and, as `modRevision`, the revision of the deletion; no value. */
export interface DeleteEvent {
  readonly type: "delete";
  readonly kv: KeyValue;
  readonly previous?: KeyValue;
}

export type WatchEvent = PutEvent | DeleteEvent;

/** Whole revisions only: one revision's events never stand in two batches. */
export interface WatchBatch {
  /** `progress` has no events: it says that nothing up to `revision` is missing. */
  readonly type: "events" | "progress";
  /** Everything up to this revision has been delivered; a watch from `revision + 1` goes on seamlessly. */
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}
