import { type EtcdClient, type KeyValue, type Lease, type LeaseId, LeaseNotFoundError } from "../../src/index.ts";
import { Admission } from "../../src/internal/index.ts";
import type { KeyLeases } from "../leases/index.ts";
import { registrationRoom } from "../registration-format/internal.ts";
import { changeKey, deleteIfUnchanged, laterCompareBytes, putIfUnchanged } from "../writes/index.ts";
import { nextStep } from "./next-step.ts";

/** `found`: it stood there already. `overwritten`: it was there, with another value or on another lease. `made`: it was not there. */
export type Placing = "found" | "overwritten" | "made";

export type Claim =
  | { readonly outcome: "placed"; readonly revision: number; readonly how: Placing }
  | { readonly outcome: "taken"; readonly by: KeyValue };

/**
 * One key that one object wants to own. Every write is a txn guarded by the key's last known modRevision and lease, so
 * a write that timed out cannot land later over something newer (GUARANTEES 15).
 */
export class OwnedKey {
  readonly key: string;
  readonly #etcd: Pick<EtcdClient, "get" | "txn">;
  readonly #leases: KeyLeases;
  #lease: Lease | undefined;

  constructor(etcd: EtcdClient, key: string, leases: KeyLeases) {
    this.#etcd = admitted(etcd);
    this.key = key;
    this.#leases = leases;
  }

  /** The lease that the key is on, or will be. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  isOwn(kv: KeyValue): boolean {
    return this.#leases.has(kv.lease);
  }

  /**
   * Puts `text` under the key, on a living lease, if the key is missing, our own, or `mayTake` allows it. Puts nothing
   * when it is there already.
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
      const step = nextStep(kv, { text, lease: lease.id, isOwn: (state) => this.isOwn(state), mayTake });
      if (step.type === "taken") return { outcome: "taken", by: step.by };
      const revision = step.type === "found" ? step.revision : await this.#put(step.over, text, lease, signal);
      // A lease that was lost meanwhile is being revoked, and takes the key with it.
      if (revision === undefined || lease.signal.aborted) continue;
      if (step.type === "found") return { outcome: "placed", revision, how: "found" };
      return { outcome: "placed", revision, how: step.over ? "overwritten" : "made" };
    }
  }

  /**
   * Puts `text` under the key if it is there and our own, on the lease that it has: unlike a claim it never brings it
   * back.
   *
   * @throws EtcdError when etcd cannot be asked
   */
  async rewrite(text: string, signal: AbortSignal): Promise<void> {
    await this.#changeOwn(signal, async (kv) => {
      if (!kv.lease || kv.text === text) return kv.modRevision;
      return this.#put(kv, text, { id: kv.lease }, signal);
    });
  }

  /**
   * Deletes the key if it is our own.
   *
   * @throws EtcdError when etcd cannot be asked
   */
  async withdraw(signal?: AbortSignal): Promise<void> {
    await this.#changeOwn(signal, (kv) => deleteIfUnchanged(this.#etcd, this.key, kv, { signal }));
  }

  /** Says that this owner is about to leave. */
  ending(): void {
    this.#leases.ending();
  }

  /**
   * Deletes the key if it is our own, and leaves the leases, also those that are already being revoked in the
   * background.
   *
   * @throws EtcdError when etcd cannot be asked; then it goes on in the background
   */
  leave(signal?: AbortSignal): Promise<void> {
    return this.#leases.leave(() => this.withdraw(signal), { signal });
  }

  /** Leaves the leases without asking etcd. */
  forget(): void {
    this.#leases.forget();
  }

  /**
   * Does something with the key as it is in etcd, if it is our own. Without ever having had a lease nothing can be.
   *
   * @param change undefined: it changed meanwhile
   */
  async #changeOwn(
    signal: AbortSignal | undefined,
    change: (own: KeyValue) => Promise<number | undefined>,
  ): Promise<void> {
    if (!this.#lease) return;
    await changeKey(this.#etcd, this.key, { signal }, async (kv) => (kv && this.isOwn(kv) ? change(kv) : 0));
  }

  /** @returns the revision of the put, or undefined when the key is no longer as it was or the lease is gone */
  async #put(
    known: KeyValue | undefined,
    text: string,
    lease: Lease | { id: LeaseId },
    signal: AbortSignal,
  ): Promise<number | undefined> {
    try {
      const later = laterCompareBytes(this.key, known);
      const room = registrationRoom(this.key, text, known?.modRevision ?? 0, later);
      return await putIfUnchanged(this.#etcd, this.key, known, { value: text, lease, room }, { signal });
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) throw error;
      if (this.#lease && lease === this.#lease) this.#leases.gone(this.#lease, error);
      return undefined;
    }
  }

  async #livingLease(onLease: (lease: Lease) => void, signal: AbortSignal): Promise<Lease> {
    const lease = await this.#leases.living(signal);
    if (lease !== this.#lease) {
      this.#lease = lease;
      onLease(lease);
    }
    return lease;
  }
}

/** Each call in its turn among those of the client's recipes. A lease is there by then: first come those that have one. */
function admitted(etcd: EtcdClient): Pick<EtcdClient, "get" | "txn"> {
  const admission = Admission.of(etcd);
  return {
    get: (key, options) => admission.run(() => etcd.get(key, options), { first: true, signal: options?.signal }),
    txn: (request, options) =>
      admission.run(() => etcd.txn(request, options), { first: true, signal: options?.signal }),
  };
}
