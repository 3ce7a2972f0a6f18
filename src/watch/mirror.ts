import type { EtcdError } from "../errors/etcd-error.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { MirrorBatch } from "./mirror-batch.ts";

/**
 * `connecting`: no list yet. `live`: every change comes. `stale`: etcd is out of reach or refuses, the entries are
 * the last good ones. `failed`: it ended, see the error of `ready` or of the iteration. `closed`: by its owner.
 */
export type MirrorStatus = "connecting" | "live" | "stale" | "failed" | "closed";

export interface MirrorOptions {
  /** How many changes may wait for one reader before they become one `resynced` batch; at least 1. @default 10000 */
  maxBufferedChanges?: number | undefined;
  /**
   * Called with each new status, and why when it is `stale` or `failed`. What it throws, or rejects with, becomes a
   * warning of the process.
   */
  onStatus?: ((status: MirrorStatus, error?: EtcdError) => void) | undefined;
  /** Closes the mirror; `ready` rejects with `signal.reason` if it was still waiting. */
  signal?: AbortSignal | undefined;
}

/**
 * A local copy of a range that is kept true: a list, a watch from the revision of the list, and a list anew with the
 * exact difference wherever the watch cannot go on.
 *
 * ```
 *   connecting ──list at R, watch from R+1──▶ live ──stream broken──▶ stale ──same history proved, resumed──▶ live
 *                                              └── compacted, or another history ──▶ stale ──list, difference──▶ live
 *   connecting ──not permitted──▶ failed    any ──client closed──▶ failed    any ──close()──▶ closed
 * ```
 *
 * Guaranteed: `entries` is always one state that etcd had, at `revision`; no deletion is missed, whatever happens
 * between. While etcd is out of reach the last good entries stay, with their age; a list that fails publishes nothing.
 * Once it was live, a role, a user or a password that is missing makes it `stale`: it is tried again after pauses that
 * grow to 30 s, and `onStatus` gets the reason.
 *
 * Not guaranteed: that `entries` is the newest state. A dead link is noticed within about 9 s. An etcd that is
 * restored from a backup without a bump of its revision (`etcdutl snapshot restore --bump-revision`) can have another
 * state at a revision that was followed. After the reconnect, up to 128 entries with up to 64 KiB are compared at
 * once and whole; of more, the keys that were put and deleted last and the number of keys. Every 15 to 45 minutes all
 * keys with their revisions are compared, in pages of at most 1000, one a second while the link holds; after such a
 * reconnect that begins within five minutes, or within five minutes of the end of one that was under way. Until then
 * some of those entries can be wrong. A difference makes the mirror `stale` with a `HistoryLostError`, and a list anew
 * comes as `resynced`. Values that differ while revisions, version and lease are the same are not found where keys and
 * values are longer than 512 bytes on average.
 */
export interface Mirror extends AsyncIterable<MirrorBatch>, AsyncDisposable {
  /** Resolves when the first list is there and followed; rejects if it never will be. */
  readonly ready: Promise<void>;
  /**
   * The entries by key: a snapshot that later changes do not touch, copied when it is first asked for after a change.
   */
  readonly entries: ReadonlyMap<string, KeyValue>;
  /** How many entries there are. */
  readonly size: number;
  /** The revision that the entries are at; 0 before the first list. */
  readonly revision: number;
  readonly status: MirrorStatus;
  /**
   * Milliseconds since the entries were last known to be followed; 0 while live. Before the first list: since the
   * start.
   */
  readonly staleForMs: number;
  /**
   * One entry as it is now, by the text of its key, without a copy of all. A key that is not UTF-8 has no text of its
   * own: it is in `entries` alone, under a name that no other has.
   */
  get(key: string): KeyValue | undefined;
  /** Ends it: iterations finish, the entries stay as they are. Calling it again is harmless. */
  close(): Promise<void>;
  /**
   * Each iteration is a reader of its own. It begins with the entries as a `snapshot`; when it lags, what waits for it
   * becomes one `resynced` batch. It ends when the mirror is closed and rejects when the mirror fails.
   */
  [Symbol.asyncIterator](): AsyncIterator<MirrorBatch, undefined>;
}
