import {
  type CallOptions,
  compareModRevision,
  deleteOp,
  type EtcdClient,
  type KeyValue,
  type Lease,
  type LeaseId,
  LeaseNotFoundError,
  putOp,
} from "../../src/index.ts";

/** Leases that this object had before, newest last: a key on one of them is still its own. */
const MOST_REMEMBERED_LEASES = 64;

/** `found`: it stood there already. `overwritten`: it was there, with another value or on another lease. `made`: it was not there. */
export type Placing = "found" | "overwritten" | "made";

export type Claim =
  | { readonly outcome: "placed"; readonly revision: number; readonly how: Placing }
  | { readonly outcome: "taken"; readonly by: KeyValue };

/**
 * One key that one object wants to own. Every write is a txn guarded by the key's last known modRevision (0: missing), so a
 * write that timed out cannot land later over something newer (GUARANTEES 15).
 */
export class OwnedKey {
  readonly key: string;
  readonly #etcd: EtcdClient;
  readonly #ttlSeconds: number;
  readonly #leases = new Map<LeaseId, Lease>();
  #lease: Lease | undefined;

  constructor(etcd: EtcdClient, key: string, ttlSeconds: number) {
    this.#etcd = etcd;
    this.key = key;
    this.#ttlSeconds = ttlSeconds;
  }

  /** The lease that the key is on, or will be. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  isOwn(kv: KeyValue): boolean {
    return kv.lease !== undefined && this.#leases.has(kv.lease);
  }

  /** Forgets the lease; the next claim is on a new one. */
  #abandonLease(cause: unknown): void {
    this.#lease?.abandon(cause);
    this.#lease = undefined;
  }

  /**
   * Puts `text` under the key, on a living lease, if the key is missing, our own, or `mayTake` allows it. Puts nothing when
   * it is there already.
   *
   * @throws EtcdError when etcd cannot be asked; then it may or may not have been put, and the next claim finds out
   */
  async claim(
    text: string,
    mayTake: (by: KeyValue) => boolean,
    onLease: (lease: Lease) => void,
    signal: AbortSignal,
  ): Promise<Claim> {
    for (;;) {
      const lease = await this.#livingLease(onLease, signal);
      const kv = await this.#etcd.get(this.key, { signal });
      if (kv && !this.isOwn(kv) && !mayTake(kv)) return { outcome: "taken", by: kv };
      const found = kv?.lease === lease.id && kv.text === text;
      const revision = found ? kv.modRevision : await this.#put(kv, text, lease, signal);
      // A lease that was lost meanwhile is being revoked, and takes the key with it.
      if (revision === undefined || lease.signal.aborted) continue;
      if (found) return { outcome: "placed", revision, how: "found" };
      return { outcome: "placed", revision, how: kv ? "overwritten" : "made" };
    }
  }

  /**
   * Puts `text` under the key if it is there and our own, on the lease that it has: unlike a claim it never brings it back.
   *
   * @throws EtcdError when etcd cannot be asked
   */
  async rewrite(text: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      const kv = await this.#ownState(signal);
      if (!kv?.lease || kv.text === text) return;
      if ((await this.#put(kv, text, { id: kv.lease }, signal)) !== undefined) return;
    }
  }

  /**
   * Deletes the key if it is our own.
   *
   * @throws EtcdError when etcd cannot be asked
   */
  async withdraw(signal: AbortSignal): Promise<void> {
    for (;;) {
      const kv = await this.#ownState(signal);
      if (!kv) return;
      const { succeeded } = await this.#etcd.txn(
        { compare: [compareModRevision(this.key, "equal", kv.modRevision)], success: [deleteOp(this.key)] },
        { signal },
      );
      if (succeeded) return;
    }
  }

  /**
   * Ends every lease that this object had, also those that are already being revoked in the background: a write that is
   * still on its way to one of them finds no lease.
   *
   * @throws EtcdError when etcd cannot be asked; then it goes on in the background
   */
  async revokeLeases(options: CallOptions): Promise<void> {
    await Promise.all([...this.#leases.values()].map((lease) => lease.revoke(options)));
  }

  /** The key as it is in etcd, if it is our own. Without ever having had a lease nothing can be. */
  async #ownState(signal: AbortSignal): Promise<KeyValue | undefined> {
    if (this.#leases.size === 0) return undefined;
    const kv = await this.#etcd.get(this.key, { signal });
    return kv && this.isOwn(kv) ? kv : undefined;
  }

  /** @returns the revision of the put, or undefined when the key is no longer as it was or the lease is gone */
  async #put(
    known: KeyValue | undefined,
    text: string,
    lease: Lease | { id: LeaseId },
    signal: AbortSignal,
  ): Promise<number | undefined> {
    try {
      const { succeeded, revision } = await this.#etcd.txn(
        {
          compare: [compareModRevision(this.key, "equal", known?.modRevision ?? 0)],
          success: [putOp(this.key, text, { lease })],
        },
        { signal },
      );
      return succeeded ? revision : undefined;
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) throw error;
      if (lease === this.#lease) this.#abandonLease(error);
      return undefined;
    }
  }

  async #livingLease(onLease: (lease: Lease) => void, signal: AbortSignal): Promise<Lease> {
    if (this.#lease && !this.#lease.signal.aborted) return this.#lease;
    // Also one that is merely in doubt: two leases of one object must not both live on.
    this.#abandonLease(this.#lease?.signal.reason);
    const lease = await this.#etcd.grantLease(this.#ttlSeconds, { signal });
    this.#lease = lease;
    this.#leases.set(lease.id, lease);
    const [oldest] = this.#leases.keys();
    if (this.#leases.size > MOST_REMEMBERED_LEASES && oldest) this.#leases.delete(oldest);
    onLease(lease);
    return lease;
  }
}
