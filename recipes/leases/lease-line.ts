import { type CallOptions, ClientClosedError, type EtcdClient, type Lease, type LeaseId } from "../../src/index.ts";
import { Admission, abortable } from "../../src/internal/index.ts";

/** Leases that were there before, newest last: a key on one of them is still the owner's. */
const MOST_REMEMBERED_LEASES = 64;

/**
 * One lease after the other, each kept alive until it is lost: who needs the living one gets it, and all who need it at
 * the same time wait for one grant.
 */
export class LeaseLine {
  readonly #etcd: Pick<EtcdClient, "grantLease">;
  readonly #ttlSeconds: number;
  /** A few at most, and most lines have one: a Map for each would be larger than all else here. */
  #leases: Lease[] = [];
  #current: Lease | undefined;
  #granting: Promise<Lease> | undefined;
  /** While a grant is under way: ends it. */
  #ending: AbortController | undefined;

  constructor(etcd: Pick<EtcdClient, "grantLease">, ttlSeconds: number) {
    this.#etcd = etcd;
    this.#ttlSeconds = ttlSeconds;
  }

  /** The newest lease as long as it lives for sure. */
  get current(): Lease | undefined {
    return this.#current?.signal.aborted ? undefined : this.#current;
  }

  /** Whether this is one of these leases, the earlier ones included. */
  has(id: LeaseId | undefined): boolean {
    return id !== undefined && this.#leases.some((lease) => lease.id === id);
  }

  /**
   * The living lease; a new one if there is none.
   *
   * @param signal ends this wait; the grant goes on for the others
   * @throws what the grant throws; `signal.reason`
   */
  async living(signal: AbortSignal): Promise<Lease> {
    const { current } = this;
    if (current) return current;
    signal.throwIfAborted();
    if (!this.#granting) {
      const ending = new AbortController();
      this.#ending = ending;
      const granting = this.grant(ending.signal);
      granting
        .catch(() => {})
        .finally(() => {
          if (this.#granting === granting) this.#grantIsOver();
        });
      this.#granting = granting;
    }
    return abortable(this.#granting, signal);
  }

  /**
   * A new lease, for one who has the line alone, and when there is no living one. `signal` ends the grant, not only
   * the wait, so `revokeAll()` comes after it.
   *
   * @throws what the grant throws; `signal.reason`
   */
  async grant(signal: AbortSignal): Promise<Lease> {
    const grant = () => this.#etcd.grantLease(this.#ttlSeconds, { signal });
    const lease = await Admission.of(this.#etcd).run(grant, { signal });
    // Granted, and at the same moment not needed any more.
    if (signal.aborted) {
      lease.abandon(signal.reason);
      throw signal.reason;
    }
    this.#current = lease;
    this.#leases.push(lease);
    if (this.#leases.length > MOST_REMEMBERED_LEASES) this.#leases.shift();
    return lease;
  }

  /** Says that etcd no longer has this lease: the next one who needs it gets a new one. */
  gone(lease: Lease, cause: unknown): void {
    lease.abandon(cause);
    if (this.#current === lease) this.#current = undefined;
  }

  /**
   * Ends every lease that there was, also those that are already being revoked in the background: a write that is still
   * on its way to one of them finds no lease. Who needs one after this call gets a new one.
   *
   * @throws EtcdError when etcd cannot be asked; then it goes on in the background
   */
  async revokeAll(options: CallOptions): Promise<void> {
    this.#ending?.abort(new ClientClosedError("the lease is not needed any more"));
    this.#grantIsOver();
    this.#current = undefined;
    const leases = [...this.#leases];
    await Promise.all(leases.map((lease) => lease.revoke(options)));
    this.#leases = this.#leases.filter((lease) => !leases.includes(lease));
  }

  #grantIsOver(): void {
    this.#granting = undefined;
    this.#ending = undefined;
  }
}
