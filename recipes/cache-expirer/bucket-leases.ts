import type { EtcdClient, Lease } from "../../src/index.ts";
import { asError, type Clock, log } from "../../src/internal/index.ts";
import { DetachedLease } from "../leases/index.ts";
import type { Buckets, Tracking } from "./buckets.ts";

const debug = log("cache");

/** Rounding, the margin of a lease's own clock, and a slow answer. */
const SPARE_MS = 1_000;

/**
 * One detached lease for each bucket, the safety net of its keys: should no tracker live when they expire, etcd deletes
 * them. At most 66 at a time of one TTL: before a new one is granted, those of buckets that were swept are revoked.
 * What still hangs on such a lease is due: a key that was touched since hangs on a later one.
 */
export class BucketLeases {
  readonly #etcd: EtcdClient;
  readonly #buckets: Buckets;
  readonly #clock: Clock;
  /** By the time at which the keys of the bucket end. */
  readonly #ofBucket = new Map<number, DetachedLease>();
  #revoking: Promise<unknown> = Promise.resolve();

  constructor(etcd: EtcdClient, buckets: Buckets, clock: Clock) {
    this.#etcd = etcd;
    this.#buckets = buckets;
    this.#clock = clock;
  }

  /**
   * Runs `write` with a lease that lives until the bucket expires, at least; with another one if etcd no longer has it.
   *
   * @throws what `write` throws; what a grant throws
   */
  async use<T>({ expiresAt, ttlSeconds }: Tracking, write: (lease: Lease) => Promise<T>): Promise<T> {
    const lease = this.#ofBucket.get(expiresAt) ?? new DetachedLease(this.#etcd);
    this.#ofBucket.set(expiresAt, lease);
    if (!lease.current) await this.endSwept();
    const { ttlMs, bucketMs } = this.#buckets.of(ttlSeconds);
    const neededMs = expiresAt - this.#clock.wallMs();
    const grantSeconds = Math.ceil(Math.max(ttlMs + 2 * bucketMs, neededMs + SPARE_MS) / 1_000);
    return lease.use({ neededMs, grantSeconds }, {}, write);
  }

  /** Revokes those whose keys are past the sweep. Never fails: what is not revoked ends by itself. */
  async endSwept(): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const revoking = [this.#revoking];
    for (const [expiresAt, { current }] of this.#ofBucket) {
      if (this.#buckets.sweptAt(expiresAt) > nowMs) continue;
      this.#ofBucket.delete(expiresAt);
      if (current) revoking.push(current.revoke().catch((error) => debug("not revoked: %s", asError(error).message)));
    }
    this.#revoking = Promise.all(revoking);
    await this.#revoking;
  }
}
