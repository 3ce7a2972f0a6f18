import type { CallOptions, EtcdClient, Lease, LeaseId } from "../../src/index.ts";
import { DetachedLease } from "./detached-lease.ts";

/** Keys whose ends lie within this part of their TTL share a lease. */
const SHARE = 1 / 64;
/**
 * A lease's own clock stops so much before etcd's; without it a lease of a minute could be shared for an instant only.
 */
const MARGIN_SECONDS = 0.5;
/** A TTL is rounded up by less than this part of it. */
const ROUNDING = 1 / 128;
/** Of so many leases, the newest, it is remembered for which TTL they were granted. */
const MOST_REMEMBERED = 1_024;

const ofClients = new WeakMap<EtcdClient, DetachedLeases>();

/**
 * Leases for keys that outlive the process: never renewed by us, and shared by all recipes of a client, so a thousand
 * puts need one. Of one TTL there are some 66 at most at any time; TTLs that are alike share them too.
 *
 * A key lives for its TTL at least. A healthy etcd ends it at most a 32nd of the TTL and two seconds later, and up to
 * four more where it is slow to grant leases; after a leader change up to a whole TTL later.
 */
export class DetachedLeases {
  readonly #etcd: EtcdClient;
  /** By the TTL: no other one may use a lease, or it could not be known later for which it was granted. */
  readonly #ofTtl = new Map<number, DetachedLease>();
  /** The TTLs of leases that were granted for longer than it takes, as etcd was slow. The oldest first. */
  readonly #ttls = new Map<LeaseId, number>();

  private constructor(etcd: EtcdClient) {
    this.#etcd = etcd;
  }

  /** Those of a client. */
  static of(etcd: EtcdClient): DetachedLeases {
    const known = ofClients.get(etcd);
    if (known) return known;
    const leases = new DetachedLeases(etcd);
    ofClients.set(etcd, leases);
    return leases;
  }

  /**
   * The TTL that a lease was granted for here: what was asked for, rounded up. Of another client's lease it is what its
   * length says, so up to four seconds more where etcd was slow to grant it.
   */
  ttlOf(lease: LeaseId, grantedSeconds: number): number {
    return this.#ttls.get(lease) ?? ttlBy(grantedSeconds);
  }

  /**
   * Runs `write` with a lease that lives for `atLeastSeconds`; with another one if etcd no longer has it.
   *
   * @throws what `write` throws; what a grant throws; EtcdTimeoutError; `signal.reason`
   */
  use<T>(atLeastSeconds: number, options: CallOptions, write: (lease: Lease) => Promise<T>): Promise<T> {
    const ttlSeconds = rounded(atLeastSeconds);
    const grantSeconds = Math.ceil(ttlSeconds * (1 + SHARE) + MARGIN_SECONDS);
    return this.#of(ttlSeconds).use({ neededMs: ttlSeconds * 1_000, grantSeconds }, options, (lease) => {
      if (ttlBy(lease.ttlSeconds) !== ttlSeconds) this.#remember(lease.id, ttlSeconds);
      return write(lease);
    });
  }

  /** Longer than the lease lives by our clock: a leader change in etcd gives it its whole time again. */
  #remember(lease: LeaseId, ttlSeconds: number): void {
    this.#ttls.set(lease, ttlSeconds);
    const [oldest] = this.#ttls.keys();
    if (this.#ttls.size > MOST_REMEMBERED && oldest !== undefined) this.#ttls.delete(oldest);
  }

  #of(ttlSeconds: number): DetachedLease {
    const known = this.#ofTtl.get(ttlSeconds);
    if (known) return known;
    for (const [ttl, lease] of this.#ofTtl) if (lease.isOver) this.#ofTtl.delete(ttl);
    const lease = new DetachedLease(this.#etcd);
    this.#ofTtl.set(ttlSeconds, lease);
    return lease;
  }
}

/** The TTL that a lease of this length is granted for. */
function ttlBy(grantedSeconds: number): number {
  return Math.max(1, Math.floor((grantedSeconds - MARGIN_SECONDS) / (1 + SHARE)));
}

/** Up to the next of some 128 steps between a TTL and its double, so that TTLs that are alike share leases. */
function rounded(ttlSeconds: number): number {
  const step = Math.max(1, 2 ** Math.floor(Math.log2(ttlSeconds * ROUNDING)));
  return Math.ceil(ttlSeconds / step) * step;
}
