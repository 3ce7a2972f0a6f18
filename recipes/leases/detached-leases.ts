import {
  type CallOptions,
  type EtcdClient,
  EtcdTimeoutError,
  type Lease,
  LeaseNotFoundError,
} from "../../src/index.ts";
import { abortable, inMs, runtimeOf, within } from "../../src/internal/index.ts";

/** Keys whose ends lie within this part of their TTL share a lease. */
const SHARE = 1 / 64;
/** A lease's own clock stops so much before etcd's; without it a lease of a minute could be shared for an instant only. */
const MARGIN_SECONDS = 0.5;
/** A TTL is rounded up by less than this part of it. */
const ROUNDING = 1 / 128;
/** How often one write may find its lease gone, or one grant take too long, before that is an error. */
const ATTEMPTS = 3;

const ofClients = new WeakMap<EtcdClient, DetachedLeases>();

/** A lease, and the TTL for which it was granted: no other one may use it, or nobody could tell later for which it was. */
interface Shared {
  readonly lease: Lease;
  readonly ttlSeconds: number;
}

/**
 * Leases for keys that outlive the process: never renewed by us, and shared by all recipes of a client, so a thousand puts
 * need one. Of one TTL there are some 66 at most at any time; TTLs that are alike share them too.
 *
 * A key lives for its TTL at least. A healthy etcd ends it at most a 32nd of the TTL and two seconds later; after a leader
 * change up to a whole TTL later.
 */
export class DetachedLeases {
  readonly #etcd: EtcdClient;
  /** The newest last: it is the one that fits most often. */
  #leases: Shared[] = [];
  readonly #granting = new Map<number, Promise<Lease>>();

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
  async use<T>(atLeastSeconds: number, options: CallOptions, write: (lease: Lease) => Promise<T>): Promise<T> {
    const ttlSeconds = rounded(atLeastSeconds);
    for (let attempt = 1; ; attempt++) {
      const lease = this.#fitting(ttlSeconds) ?? (await this.#granted(ttlSeconds, options));
      try {
        return await write(lease);
      } catch (error) {
        // Revoked by hand, or etcd was wiped.
        if (!(error instanceof LeaseNotFoundError) || attempt === ATTEMPTS) throw error;
        this.#leases = this.#leases.filter((other) => other.lease !== lease);
      }
    }
  }

  #fitting(ttlSeconds: number): Lease | undefined {
    const fits = (shared: Shared) =>
      shared.ttlSeconds === ttlSeconds && shared.lease.remainingMs() >= ttlSeconds * 1_000;
    return this.#leases.findLast(fits)?.lease;
  }

  /** Granted once for all who wait for it: a caller's time settles its own wait only. */
  async #granted(ttlSeconds: number, { signal, timeoutMs }: CallOptions): Promise<Lease> {
    signal?.throwIfAborted();
    let granting = this.#granting.get(ttlSeconds);
    if (!granting) {
      granting = this.#grant(ttlSeconds).finally(() => this.#granting.delete(ttlSeconds));
      granting.catch(() => {});
      this.#granting.set(ttlSeconds, granting);
    }
    const waiting = abortable(granting, signal);
    if (timeoutMs === undefined) return waiting;
    const outOfTime = () => new EtcdTimeoutError(`no lease within ${inMs(timeoutMs)}`, { retryable: true });
    return within(runtimeOf(this.#etcd).clock, waiting, timeoutMs, outOfTime);
  }

  async #grant(ttlSeconds: number): Promise<Lease> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      // Longer each time: a slow grant leaves less of it than was asked for.
      const seconds = Math.ceil(ttlSeconds * (1 + SHARE) + MARGIN_SECONDS) + (attempt - 1) * 2;
      const lease = await this.#etcd.grantLease(seconds, { keepAlive: false });
      this.#leases = this.#leases.filter((other) => !other.lease.signal.aborted);
      this.#leases.push({ lease, ttlSeconds });
      if (lease.remainingMs() >= ttlSeconds * 1_000) return lease;
    }
    throw new EtcdTimeoutError(`granting a lease of ${ttlSeconds} s took too long`, { retryable: true });
  }
}

/** Up to the next of some 128 steps between a TTL and its double, so that TTLs that are alike share leases. */
function rounded(ttlSeconds: number): number {
  const step = Math.max(1, 2 ** Math.floor(Math.log2(ttlSeconds * ROUNDING)));
  return Math.ceil(ttlSeconds / step) * step;
}
