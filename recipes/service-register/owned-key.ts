import {
  compareModRevision,
  deleteOp,
  type EtcdClient,
  type KeyValue,
  type Lease,
  LeaseNotFoundError,
  putOp,
} from "../../src/index.ts";

/** Leases that this object had before, newest last: a key on one of them is still its own. */
const MOST_REMEMBERED_LEASES = 64;

export type Claim =
  | { readonly outcome: "placed"; readonly revision: number }
  | { readonly outcome: "taken"; readonly by: KeyValue };

/**
 * One key that one object wants to own. Every write is a txn guarded by the key's last known modRevision (0: missing), so a
 * write that timed out cannot land later over something newer (GUARANTEES 15).
 */
export class OwnedKey {
  readonly key: string;
  readonly #etcd: EtcdClient;
  readonly #ttlSeconds: number;
  readonly #leases = new Set<string>();
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
  abandonLease(cause: unknown): void {
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
      if (kv && kv.lease === lease.id && kv.text === text) return { outcome: "placed", revision: kv.modRevision };
      try {
        const { succeeded, revision } = await this.#etcd.txn(
          {
            compare: [compareModRevision(this.key, "equal", kv?.modRevision ?? 0)],
            success: [putOp(this.key, text, { lease })],
          },
          { signal },
        );
        if (succeeded) return { outcome: "placed", revision };
      } catch (error) {
        if (!(error instanceof LeaseNotFoundError)) throw error;
        this.abandonLease(error);
      }
    }
  }

  /**
   * Deletes the key if it is our own.
   *
   * @throws EtcdError when etcd cannot be asked
   */
  async withdraw(signal: AbortSignal): Promise<void> {
    for (;;) {
      const kv = await this.#etcd.get(this.key, { signal });
      if (!kv || !this.isOwn(kv)) return;
      const { succeeded } = await this.#etcd.txn(
        { compare: [compareModRevision(this.key, "equal", kv.modRevision)], success: [deleteOp(this.key)] },
        { signal },
      );
      if (succeeded) return;
    }
  }

  async #livingLease(onLease: (lease: Lease) => void, signal: AbortSignal): Promise<Lease> {
    if (this.#lease && !this.#lease.signal.aborted) return this.#lease;
    // Also one that is merely in doubt: two leases of one object must not both live on.
    this.abandonLease(this.#lease?.signal.reason);
    const lease = await this.#etcd.grantLease(this.#ttlSeconds, { signal });
    this.#lease = lease;
    this.#leases.add(lease.id);
    const [oldest] = this.#leases;
    if (this.#leases.size > MOST_REMEMBERED_LEASES && oldest) this.#leases.delete(oldest);
    onLease(lease);
    return lease;
  }
}
