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
 * etcd, and reading `signal.aborted` compares the clock at that moment. That clock counts the time that the machine was
 * suspended, and a wall clock that is set, by NTP or by hand, ends no lease.
 *
 * Not guaranteed: that etcd expires the lease *at* its TTL. A leader change in etcd gives every lease its whole TTL
 * again, so the TTL is a minimum. Nor that it never ends it earlier: a leader that was frozen and goes on can revoke
 * leases that were renewed on its successor meanwhile (seen on 3.5.30); the owner learns it by the next renewal. Nor
 * that this process notices a pause that the system hides from it: a hypervisor that freezes a virtual machine, or a
 * sandbox in which `os.uptime()` stands still while the machine sleeps. Such leases are renewed as soon as the wall
 * clock is set right, and the answer says so. And code that does not look at the signal can act after the lease is
 * gone: what must not happen then belongs into a txn with a compare.
 */
export interface Lease extends AsyncDisposable {
  readonly id: LeaseId;
  /** As granted: etcd rounds a TTL that is too short for it up. */
  readonly ttlSeconds: number;
  /**
   * Aborts with a `LeaseLostError` when the lease is lost, expired or revoked. Once it read aborted it stays so.
   *
   * Only this signal compares the clock when it is read. One that `AbortSignal.any()` makes of it keeps a state of its
   * own on Node 20 and 22: after a SIGSTOP or a blocked event loop it can read false until the first timer runs, some
   * callbacks later, or until this one is read. On Node 24.21 it asks this one. Pass this signal on as it is, or
   * read it as well.
   */
  readonly signal: AbortSignal;
  /** How long the lease is certain to live unless it is revoked, in milliseconds; 0 once it is lost. */
  remainingMs(): number;
  /** @throws LeaseNotFoundError when there is no such lease any more */
  timeToLive(options?: TimeToLiveOptions): Promise<LeaseTimeToLive>;
  /**
   * Ends the lease, and with it its keys. Renewal stops at once. When etcd does not answer in time this rejects, and
   * the revocation is repeated in the background until etcd confirms it or the client is closed, which tries a last
   * time; not that of a lease with a chosen id, which may be granted anew. Calling it again is harmless: as long as
   * etcd has not confirmed it, each call asks within its own time.
   */
  revoke(options?: CallOptions): Promise<void>;
  /**
   * Ends the renewal and lets the lease live on until its deadline, when `signal` aborts. For owners who are about to
   * leave and give what they protect a last while to end. `revoke()` ends it earlier. Harmless on a lease that is over.
   */
  lapse(): void;
  /**
   * Gives the lease up without waiting: `signal` aborts with a `LeaseLostError`, renewal stops, and it is revoked in
   * the background, unless its id was chosen. For owners who learn by other means that what the lease protected is
   * gone.
   */
  abandon(cause?: unknown): void;
}
