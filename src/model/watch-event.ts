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

/** The events that a watch leaves out. */
export type WatchFilter = WatchEvent["type"];

/** Whole revisions only: one revision's events never stand in two batches. */
export interface WatchBatch {
  /**
   * `progress` has no events: it says that nothing up to `revision` is missing. etcd sends it where nothing has
   * happened in the range for some 10 minutes (`--watch-progress-notify-interval`, before 3.6 with `experimental-`
   * before it), and nothing else makes it come. To a watch with filters it also counts what they left out.
   */
  readonly type: "events" | "progress";
  /**
   * Everything up to this revision has been delivered. Who stores it with what came of the events goes on seamlessly
   * after a restart, by a watch with `startRevision: revision + 1`: a `progress` keeps that above etcd's compactions
   * where the range itself is quiet.
   */
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}
