import type { CallOptions, EtcdClient, Lease, LeaseId } from "../../src/index.ts";
import type { KeyLeases } from "./key-leases.ts";
import { LeaseLine } from "./lease-line.ts";

/**
 * From so many lines on a client warns that there is a cheaper way: each costs a grant, and a renewal again and again.
 */
const MANY = 500;

/** How many lines each client has, and whether it has warned. */
const ofClients = new WeakMap<object, { count: number; warned: boolean }>();

/** A line of leases for one key alone. */
export class OwnLeases implements KeyLeases {
  /** Whether this is the line, once for a client, with which they become many. */
  readonly isOneTooMany: boolean;
  readonly #line: LeaseLine;
  readonly #of: { count: number; warned: boolean };
  #left = false;

  constructor(etcd: Pick<EtcdClient, "grantLease">, ttlSeconds: number) {
    this.#line = new LeaseLine(etcd, ttlSeconds);
    this.#of = ofClients.get(etcd) ?? { count: 0, warned: false };
    ofClients.set(etcd, this.#of);
    this.#of.count++;
    this.isOneTooMany = this.#of.count > MANY && !this.#of.warned;
    this.#of.warned ||= this.isOneTooMany;
  }

  get current(): Lease | undefined {
    return this.#line.current;
  }

  has(id: LeaseId | undefined): boolean {
    return this.#line.has(id);
  }

  /** Its key is alone on the line, so what ends the wait ends the grant. */
  living(signal: AbortSignal): Promise<Lease> {
    const { current } = this.#line;
    return current ? Promise.resolve(current) : this.#line.grant(signal);
  }

  gone(lease: Lease, cause: unknown): void {
    this.#line.gone(lease, cause);
  }

  ending(): void {
    if (this.#left) return;
    this.#left = true;
    this.#of.count--;
  }

  /** The leases take the key with them, and a write that is still on its way. What `living()` waited for is ended. */
  leave(_: () => Promise<void>, options: CallOptions): Promise<void> {
    return this.#line.revokeAll(options);
  }

  forget(): void {}
}
