import { type EtcdClient, EtcdTimeoutError, type Lease } from "../../src/index.ts";
import { asError, type Clock, log } from "../../src/internal/index.ts";
import type { Buckets, Tracking } from "./buckets.ts";

const debug = log("cache");

/** A lease that was granted so slowly that it would end too early is granted anew, so often. */
const ATTEMPTS = 3;
/** Rounding, the margin of a lease's own clock, and a slow answer. */
const SPARE_MS = 1_000;

/**
 * One detached lease for each bucket, the safety net of its keys: should no tracker live when they expire, etcd deletes them.
 * At most 66 at a time: before a new one is granted, those of buckets that were swept are revoked. What still hangs on such
 * a lease is due: a key that was touched since hangs on a later one.
 */
export class BucketLeases {
  readonly #etcd: EtcdClient;
  readonly #buckets: Buckets;
  readonly #clock: Clock;
  /** By the time at which the keys of the bucket end. */
  readonly #held = new Map<number, { lease?: Lease | undefined; granting?: Promise<Lease> | undefined }>();

  constructor(etcd: EtcdClient, buckets: Buckets, clock: Clock) {
    this.#etcd = etcd;
    this.#buckets = buckets;
    this.#clock = clock;
  }

  /**
   * A lease that lives until the bucket expires, at least.
   *
   * @throws what a grant throws
   */
  async of({ expiresAt }: Tracking): Promise<Lease> {
    const held = this.#held.get(expiresAt) ?? {};
    this.#held.set(expiresAt, held);
    if (held.lease && this.#lasts(held.lease, expiresAt)) return held.lease;
    held.granting ??= this.#grant(expiresAt).finally(() => {
      held.granting = undefined;
    });
    held.lease = await held.granting;
    return held.lease;
  }

  /** Etcd does not have it any more: revoked by hand, or wiped. */
  forget(lost: Lease): void {
    for (const held of this.#held.values()) if (held.lease === lost) held.lease = undefined;
  }

  /** Revokes those whose keys are past the sweep. Never fails: what is not revoked ends by itself. */
  async endSwept(): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const revoking: Promise<void>[] = [];
    for (const [expiresAt, { lease }] of this.#held) {
      if (this.#buckets.sweptAt(expiresAt) > nowMs) continue;
      this.#held.delete(expiresAt);
      if (lease) revoking.push(lease.revoke().catch((error) => debug("not revoked: %s", asError(error).message)));
    }
    await Promise.all(revoking);
  }

  #lasts(lease: Lease, expiresAt: number): boolean {
    return !lease.signal.aborted && lease.remainingMs() >= expiresAt - this.#clock.wallMs();
  }

  async #grant(expiresAt: number): Promise<Lease> {
    await this.endSwept();
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const { ttlMs, bucketMs } = this.#buckets;
      const neededMs = expiresAt - this.#clock.wallMs() + attempt * SPARE_MS;
      const seconds = Math.ceil(Math.max(ttlMs + 2 * bucketMs, neededMs) / 1_000);
      const lease = await this.#etcd.grantLease(seconds, { keepAlive: false });
      if (this.#lasts(lease, expiresAt)) return lease;
    }
    throw new EtcdTimeoutError("granting a lease took too long", { retryable: true });
  }
}
