import type { CallOptions, Op, TxnAnswer, TxnOptions } from "../../src/index.ts";

/**
 * The time in which one candidate leads.
 *
 * Guaranteed: `signal` reads aborted no later than etcd *expires* the lease of the key, whatever happens to this
 * process, the network or etcd; until then no other candidate is elected, unless a user deletes the key or revokes
 * the lease. `txn` writes only while the key is in etcd.
 *
 * Not guaranteed: that nothing happens after the term outside etcd. A process that was paused goes on where it was, and
 * a request that left earlier can arrive later: give `token` with it, and let the other side refuse a lower one than it
 * has seen.
 */
export interface Term {
  /**
   * Aborts when the term ends, for whatever reason. Reading `aborted` compares the clock; once true it stays true. A
   * signal that `AbortSignal.any()` makes of it does not compare on Node 20 and 22: after a pause of the process it can
   * read false a moment longer.
   */
  readonly signal: AbortSignal;
  /**
   * The fencing token: the createRevision of the key. Each term has a higher one than all before it, within one history
   * of etcd: one that is restored from a backup must be restored with a revision bump.
   */
  readonly token: number;
  /**
   * How long no other can lead at least, in milliseconds; 0 once the lease is over. For what has to end in time by
   * itself. Also after the term has ended in another way, such as `resign()`: the key stays until the work has settled.
   */
  remainingMs(): number;
  /** The key in etcd that stands for the term. */
  readonly key: string;
  /**
   * A txn that is executed only while the term lasts. `succeeded` says whether the request's own compares held.
   *
   * @param request operations, or compares and operations
   * @throws FencedOutError when the term is over: nothing was written. After any other error with `outcomeUnknown:
   *   true` it may have been, or be later, but not after the key is gone
   */
  txn(request: TxnOptions | readonly Op[], options?: CallOptions): Promise<TxnAnswer>;
  /**
   * Says something else to those who observe, in the place of the candidate's name, for this term.
   *
   * @throws FencedOutError when the term is over; InvalidOptionError for an empty value
   */
  proclaim(value: string, options?: CallOptions): Promise<void>;
  /**
   * Begins the end of the term: `signal` aborts; once the work has settled, or the lease has run out, the key is
   * deleted. `lead()` then settles as the work did. Harmless on a term that is over.
   */
  resign(): void;
}
