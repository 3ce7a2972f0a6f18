import type { CallOptions } from "../model/call-options.ts";
import type { LeaseId } from "../model/lease-id.ts";

/** What etcd says of a lease. */
export interface LeaseTimeToLive {
  /** Whole seconds left. */
  readonly remainingSeconds: number;
  readonly grantedSeconds: number;
  /** The keys that die with it. */
  readonly keys: readonly string[];
}

export interface TimeToLiveOptions extends CallOptions {
  /** Ask for the keys as well; without, `keys` is empty. @default true */
  keys?: boolean | undefined;
}

/**
 * A lease that this process holds: keys put with it are deleted by etcd when it ends.
 *
 * Guaranteed: `signal` aborts no later than etcd expires the lease, whatever happens to this process, the network or
 * etcd, and reading `signal.aborted` compares the clock at that moment.
 *
 * Not guaranteed: that etcd expires the lease *at* its TTL. A leader change in etcd gives every lease its whole TTL again,
 * so the TTL is a minimum. Nor that it never ends it earlier: a leader that was frozen and goes on can revoke leases that
 * were renewed on its successor meanwhile (seen on 3.5.30); the owner is told by the next renewal. Nor that a machine notices
 * that it slept if its wall clock is set back meanwhile: then no clock is left that could tell. And code that does not
 * look at the signal can act after the lease is gone: what must not happen then belongs into a txn with a compare.
 */
export interface Lease extends AsyncDisposable {
  readonly id: LeaseId;
  /** As granted: etcd rounds a TTL that is too short for it up. */
  readonly ttlSeconds: number;
  /** Aborts with a `LeaseLostError` when the lease is lost, expired or revoked. */
  readonly signal: AbortSignal;
  /** How long the lease is certain to live unless somebody revokes it, in milliseconds; 0 once it is lost or in doubt. */
  remainingMs(): number;
  /** @throws LeaseNotFoundError when there is no such lease any more */
  timeToLive(options?: TimeToLiveOptions): Promise<LeaseTimeToLive>;
  /**
   * Ends the lease, and with it its keys. Renewal stops at once. When etcd does not answer in time this rejects, and the
   * revocation is repeated in the background until etcd confirms it or the client is closed, which tries a last time.
   * Calling it again is harmless: as long as etcd has not confirmed it, each call asks within its own time.
   */
  revoke(options?: CallOptions): Promise<void>;
  /**
   * Ends the renewal and lets the lease live on until its deadline, when `signal` aborts. For owners who are about to leave
   * and give what they protect a last while to end. `revoke()` ends it earlier. Harmless on a lease that is over.
   */
  lapse(): void;
  /**
   * Gives the lease up without waiting: `signal` aborts with a `LeaseLostError`, renewal stops, and it is revoked in the
   * background. For owners who learn by other means that what the lease protected is gone.
   */
  abandon(cause?: unknown): void;
}
