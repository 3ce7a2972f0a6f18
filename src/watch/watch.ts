import type { EtcdError } from "../errors/etcd-error.ts";
import type { WatchBatch, WatchFilter } from "../model/watch-event.ts";

/**
 * `connecting`: etcd does not follow the range yet. `live`: every event comes. `stale`: it is out of reach, the events
 * come later. How a watch ends is seen by its iteration.
 */
export type WatchStatus = "connecting" | "live" | "stale";

export interface WatchOptions {
  /**
   * The first revision whose events are wanted. It must be above the revision of etcd's last compaction: at that very
   * revision an etcd before 3.5.18 leaves out deletions, so the watch ends with a `CompactedError`.
   *
   * @default the one after the newest at the time of the call
   */
  startRevision?: number | undefined;
  /** Give each event the state before it, where it is not compacted away. @default false */
  previous?: boolean | undefined;
  /**
   * The events that are not wanted: `["put"]` leaves deletions, `["delete"]` puts. etcd does not send them. Such a
   * watch knows less of what it follows: an etcd that was wiped or restored is recognized only where one of the last
   * four events would not have happened in it, and they are not compacted away yet.
   *
   * @default none
   */
  filters?: readonly WatchFilter[] | undefined;
  /**
   * How many events may wait for the reader before the watch ends with a `WatchOverflowError`; at least 1.
   * @default 100000
   */
  maxBufferedEvents?: number | undefined;
  /**
   * Called with each new status, and why while it is `connecting` or `stale`: for instance that no server can be
   * trusted, which is waited out like all that can pass. What it throws, or rejects with, becomes a warning of the
   * process.
   */
  onStatus?: ((status: WatchStatus, error?: EtcdError) => void) | undefined;
  /** Closes the watch: the iteration rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

/**
 * The events of a range, read with `for await`; leaving the loop closes the watch. One reader: a second one throws.
 *
 * Guaranteed across all reconnects: every event once, in the order of revisions, all events of a revision in one batch.
 * The iteration rejects with `CompactedError` when revisions that were not delivered yet were compacted away,
 * `HistoryLostError` when etcd was wiped or restored, `WatchOverflowError` when the reader was too slow,
 * `ClientClosedError`, or, before `ready`, `PermissionDeniedError` or `UnauthenticatedError`: never silence. After
 * `ready` a role, a user or a password that is missing makes it `stale` until that is corrected. A state that recovers
 * by itself is a Mirror.
 *
 * Not guaranteed: that every restored etcd is recognized. What is compared after a reconnect are the keys that the
 * watch saw put or deleted last, four of each, and, without `startRevision`, the number of keys: a backup that lacks
 * other changes only and has passed the revision since, without a bump (`etcdutl snapshot restore --bump-revision`),
 * is taken for the same history. Nor a time. A link that dies without a word is noticed by its pings, within about 9
 * s.
 */
export interface Watch extends AsyncIterable<WatchBatch>, AsyncDisposable {
  /** The revision that the watch starts after, once the server follows the range; rejects if it never does. */
  readonly ready: Promise<number>;
  /** Ends the watch: the iteration finishes. Calling it again is harmless. */
  close(): Promise<void>;
  /** @throws TypeError for a second reader */
  [Symbol.asyncIterator](): AsyncIterator<WatchBatch, undefined>;
}
