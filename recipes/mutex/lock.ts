import type { CallOptions, Op, TxnAnswer, TxnOptions } from "../../src/index.ts";

/**
 * What `acquire()` gave: held until `release()`, or until it is lost.
 *
 * Guaranteed: `signal` reads aborted no later than etcd *expires* the lease of the key, whatever happens to this
 * process, the network or etcd; until then no other caller acquires it, unless a user deletes the key or revokes the
 * lease. `txn` writes only while the key is in etcd.
 *
 * Not guaranteed: that nothing happens after that outside etcd. A process that was paused goes on where it was, and a
 * request that left earlier can arrive later: give `token` with it, and let the other side refuse a lower one than it
 * has seen.
 */
export interface Lock extends AsyncDisposable {
  /**
   * Aborts when it is lost or released. Reading `aborted` compares the clock; once true it stays true. A signal that
   * `AbortSignal.any()` makes of it does not compare on Node 20 and 22: after a pause of the process it can read false
   * a moment longer.
   */
  readonly signal: AbortSignal;
  /**
   * The fencing token: the createRevision of the key. Each holder has a higher one than all before it, within one
   * history of etcd: one that is restored from a backup must be restored with a revision bump.
   */
  readonly token: number;
  /**
   * How long no other can hold it at least, in milliseconds; 0 once the lease is over. For what has to end in time by
   * itself. Also after `signal` has aborted in another way, such as by the signal of `run()`, until the key is deleted.
   */
  remainingMs(): number;
  /** The key in etcd that stands for it. */
  readonly key: string;
  /**
   * A txn that is executed only while the lock is held. `succeeded` says whether the request's own compares held.
   *
   * @param request operations, or compares and operations
   * @throws FencedOutError when it is not held any more: nothing was written. After any other error with
   *   `outcomeUnknown: true` it may have been, or be later, but not after the key is gone
   */
  txn(request: TxnOptions | readonly Op[], options?: CallOptions): Promise<TxnAnswer>;
  /**
   * Gives it to the next one: `signal` aborts, and the key is deleted. Resolves when that is done; when etcd cannot be
   * asked, after the TTL or 5 s, whichever is shorter, and it goes on in the background. Never rejects; calling it
   * again is harmless.
   */
  release(): Promise<void>;
}
