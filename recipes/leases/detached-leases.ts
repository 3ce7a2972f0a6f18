import type { CallOptions, EtcdClient, Lease } from "../../src/index.ts";
import { DetachedLease } from "./detached-lease.ts";

/** Keys whose ends lie within this part of their TTL share a lease. */
const SHARE = 1 / 64;
/**
 * A lease's own clock stops so much before etcd's; without it a lease of a minute could be shared for an instant only.
 */
const MARGIN_SECONDS = 0.5;
/** A TTL is rounded up by less than this part of it. */
const ROUNDING = 1 / 128;

const ofClients = new WeakMap<EtcdClient, DetachedLeases>();

/**
 * Leases for keys that outlive the process: never renewed by us, and shared by all recipes of a client, so a thousand
 * puts need one. Of one TTL there are some 66 at most at any time; TTLs that are alike share them too.
 *
 * A key lives for its TTL at least. A healthy etcd ends it at most a 32nd of the TTL and two seconds later; after a
 * leader change up to a whole TTL later.
 */
export class DetachedLeases {
  readonly #etcd: EtcdClient;
  /** By the TTL: no other one may use a lease, or it could not be known later for which it was granted. */
  readonly #ofTtl = new Map<number, DetachedLease>();

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

  /** The TTL that a lease was granted for here: what was asked for, rounded up. */
  static ttlOf(grantedSeconds: number): number {
    return Math.max(1, Math.floor((grantedSeconds - MARGIN_SECONDS) / (1 + SHARE)));
  }

  /**
   * Runs `write` with a lease that lives for `atLeastSeconds`; with another one if etcd no longer has it.
   *
   * @throws what `write` throws; what a grant throws; EtcdTimeoutError; `signal.reason`
   */
  use<T>(atLeastSeconds: number, options: CallOptions, write: (lease: Lease) => Promise<T>): Promise<T> {
    const ttlSeconds = rounded(atLeastSeconds);
    const grantSeconds = Math.ceil(ttlSeconds * (1 + SHARE) + MARGIN_SECONDS);
    return this.#of(ttlSeconds).use({ neededMs: ttlSeconds * 1_000, grantSeconds }, options, write);
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

/** Up to the next of some 128 steps between a TTL and its double, so that TTLs that are alike share leases. */
function rounded(ttlSeconds: number): number {
  const step = Math.max(1, 2 ** Math.floor(Math.log2(ttlSeconds * ROUNDING)));
  return Math.ceil(ttlSeconds / step) * step;
}
