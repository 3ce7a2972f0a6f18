import type { EtcdClient, Lease } from "../../src/index.ts";
import { Backoff, onAbort, type Runtime } from "../../src/internal/index.ts";

export interface WorkerLeaseParts {
  readonly etcd: EtcdClient;
  readonly ttlSeconds: number;
  readonly runtime: Runtime;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Whether a lease is still wanted; asked before each attempt. */
  isWanted(): boolean;
  /** Told when there is a lease, or none is wanted any more. */
  onGranted(): void;
  onLost(lease: Lease): void;
  onError(error: unknown): void;
}

/** The one kept-alive lease of a worker; when it is lost, a new one as soon as one is wanted. */
export class WorkerLease {
  readonly #parts: WorkerLeaseParts;
  #lease: Lease | undefined;
  #granting = false;

  constructor(parts: WorkerLeaseParts) {
    this.#parts = parts;
  }

  get current(): Lease | undefined {
    return this.#lease;
  }

  /** The lease that new claims are on; undefined while there is none, then it is being granted. */
  living(): Lease | undefined {
    const lease = this.#lease;
    if (lease && !lease.signal.aborted) return lease;
    this.#lease = undefined;
    void this.#grant();
    return undefined;
  }

  async #grant(): Promise<void> {
    if (this.#granting) return;
    this.#granting = true;
    const { etcd, runtime, ttlSeconds, signal } = this.#parts;
    const backoff = new Backoff(runtime, { initialMs: 100 });
    while (!this.#lease && this.#parts.isWanted() && !signal.aborted) {
      try {
        this.#granted(await etcd.grantLease(ttlSeconds, { signal }));
      } catch (error) {
        if (signal.aborted) break;
        this.#parts.onError(error);
        await backoff.wait(signal, { cause: error }).catch(() => {});
      }
    }
    this.#granting = false;
    this.#parts.onGranted();
  }

  #granted(lease: Lease): void {
    if (this.#parts.signal.aborted) {
      lease.abandon(this.#parts.signal.reason);
      return;
    }
    this.#lease = lease;
    onAbort(lease.signal, () => {
      if (this.#lease === lease) this.#lease = undefined;
      this.#parts.onLost(lease);
    });
  }
}
