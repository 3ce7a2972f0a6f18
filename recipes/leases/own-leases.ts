import type { CallOptions, EtcdClient, Lease, LeaseId } from "../../src/index.ts";
import { allSettled, type KeyLeases } from "./key-leases.ts";
import { LeaseLine } from "./lease-line.ts";

/** A line of leases for one key alone. */
export class OwnLeases implements KeyLeases {
  readonly #line: LeaseLine;

  constructor(etcd: Pick<EtcdClient, "grantLease">, ttlSeconds: number) {
    this.#line = new LeaseLine(etcd, ttlSeconds);
  }

  has(id: LeaseId | undefined): boolean {
    return this.#line.has(id);
  }

  living(signal: AbortSignal): Promise<Lease> {
    return this.#line.living(signal);
  }

  gone(lease: Lease, cause: unknown): void {
    this.#line.gone(lease, cause);
  }

  ending(): void {}

  /** At once: the leases take a write with them that is still on its way. */
  leave(withdraw: () => Promise<void>, options: CallOptions): Promise<void> {
    return allSettled([withdraw(), this.#line.revokeAll(options)]);
  }

  forget(): void {}
}
