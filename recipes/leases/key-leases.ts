import type { CallOptions, Lease, LeaseId } from "../../src/index.ts";

/** Where the owner of one key has its leases from: a line of its own, or one that it shares. */
export interface KeyLeases {
  /** The newest lease as long as it lives for sure. */
  readonly current: Lease | undefined;
  /** Whether a key on this lease can be the owner's: it has or had it, and no other of its line writes that key. */
  has(id: LeaseId | undefined): boolean;
  /**
   * The lease to put the key on.
   *
   * @throws what a grant throws; `signal.reason`
   */
  living(signal: AbortSignal): Promise<Lease>;
  /** Says that etcd no longer has this lease. */
  gone(lease: Lease, cause: unknown): void;
  /** Says that the owner is about to leave: another may ask for the key, and waits until it has left. */
  ending(): void;
  /**
   * Leaves for good. `withdraw` deletes the key; what cannot be deleted now goes with the lease, or is deleted later.
   *
   * @throws EtcdError when etcd cannot be asked
   */
  leave(withdraw: () => Promise<void>, options: CallOptions): Promise<void>;
  /** Leaves without asking etcd: the client is closed, and revokes its leases itself. */
  forget(): void;
}

/** Waits for all, and fails as the first of those that failed. */
export async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}
