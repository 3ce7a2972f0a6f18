import {
  type CallOptions,
  type EtcdClient,
  EtcdTimeoutError,
  type Lease,
  LeaseNotFoundError,
} from "../../src/index.ts";
import { abortable, inMs, runtimeOf, waitedInVain, within } from "../../src/internal/index.ts";

/** How often one write may find its lease gone, or one grant take too long, before that is an error. */
const ATTEMPTS = 3;
/** A grant that took too long is repeated for so much longer: what it takes is lost of the lease. */
const LONGER_SECONDS = 2;

export interface LeaseTime {
  /** How long the lease must live from now on, in milliseconds. */
  readonly neededMs: number;
  /** For how long it is granted, in seconds; the more, the longer it can be shared. */
  readonly grantSeconds: number;
}

/**
 * The detached lease of all that ends at about the same time: never renewed, so it outlives the process. There is one
 * at a time. When it does not last long enough, or etcd lost it, another one is granted, once for all who wait for it.
 */
export class DetachedLease {
  readonly #etcd: EtcdClient;
  #lease: Lease | undefined;
  #granting: Promise<Lease> | undefined;

  constructor(etcd: EtcdClient) {
    this.#etcd = etcd;
  }

  /** The one that there is. */
  get current(): Lease | undefined {
    return this.#lease?.signal.aborted ? undefined : this.#lease;
  }

  /** Whether there is none, nor will be soon. */
  get isOver(): boolean {
    return !this.current && !this.#granting;
  }

  /**
   * Runs `write` with a lease that lives long enough; with another one if etcd no longer has it.
   *
   * @throws what `write` throws; what a grant throws; EtcdTimeoutError; `signal.reason`
   */
  async use<T>(time: LeaseTime, options: CallOptions, write: (lease: Lease) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const { current } = this;
      const lease = current && lasts(current, time) ? current : await this.#granted(time, options);
      try {
        return await write(lease);
      } catch (error) {
        // Revoked by hand, or etcd was wiped.
        if (!(error instanceof LeaseNotFoundError) || attempt === ATTEMPTS) throw error;
        if (this.#lease === lease) this.#lease = undefined;
      }
    }
  }

  /** A caller's time settles its own wait only. */
  async #granted(time: LeaseTime, { signal, timeoutMs }: CallOptions): Promise<Lease> {
    signal?.throwIfAborted();
    if (!this.#granting) {
      this.#granting = this.#grant(time).finally(() => {
        this.#granting = undefined;
      });
      this.#granting.catch(() => {});
    }
    const waiting = abortable(this.#granting, signal);
    if (timeoutMs === undefined) return waiting;
    const outOfTime = () => waitedInVain(this.#etcd, `no lease within ${inMs(timeoutMs)}`, { retryable: true });
    return within(runtimeOf(this.#etcd).clock, waiting, timeoutMs, outOfTime);
  }

  async #grant(time: LeaseTime): Promise<Lease> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const seconds = time.grantSeconds + (attempt - 1) * LONGER_SECONDS;
      const lease = await this.#etcd.grantLease(seconds, { keepAlive: false });
      this.#lease = lease;
      if (lasts(lease, time)) return lease;
    }
    throw new EtcdTimeoutError(`granting a lease of ${time.grantSeconds} s took too long`, { retryable: true });
  }
}

function lasts(lease: Lease, { neededMs }: LeaseTime): boolean {
  return lease.remainingMs() >= neededMs;
}
