import type { Protocol } from "../connection/index.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { Backoff } from "../internal/backoff.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { LeaseId } from "../model/lease-id.ts";

const debug = log("lease");

/** A crowd of leases that were lost together must not keep a server that comes back from serving their owners. */
const AT_ONCE = 16;

/**
 * Revokes leases that have no holder any more until etcd says that they are gone, a few at a time. Without it a lease
 * that was lost in an outage comes back with its whole TTL and its keys stand in their own owner's way. Its pauses do
 * not keep the process alive; an attempt, and a dial that it began, hold it until they are over.
 */
export class LeaseRevoker {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  /** What is left to do in the background, in the order in which it is tried next. */
  readonly #waiting = new Set<LeaseId>();
  readonly #trying = new Set<LeaseId>();
  /** Every request that is on its way to etcd. */
  readonly #underWay = new Map<Promise<unknown>, LeaseId>();
  readonly #closing = new AbortController();
  #workers = 0;

  constructor(protocol: Protocol, runtime: Runtime) {
    this.#protocol = protocol;
    this.#runtime = runtime;
  }

  revokeInBackground(id: LeaseId): void {
    if (this.#trying.has(id) || this.#closing.signal.aborted) return;
    this.#waiting.add(id);
    if (this.#workers < AT_ONCE) void this.#work();
  }

  /** Resolves when etcd has confirmed that the lease is gone. */
  async revoke(id: LeaseId, options: CallOptions | undefined): Promise<void> {
    try {
      await this.#ask(id, options);
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) throw error;
    }
  }

  /**
   * Takes an id back that is about to be granted anew. Resolves when no request is on its way that could end that
   * lease.
   */
  async callOff(id: LeaseId): Promise<void> {
    this.#waiting.delete(id);
    this.#trying.delete(id);
    await Promise.allSettled([...this.#underWay].filter(([, revoked]) => revoked === id).map(([asking]) => asking));
  }

  /** Repeats nothing any more: what is not confirmed yet is tried one last time, within `limitMs`. */
  async close(limitMs: number): Promise<void> {
    const left = [...this.#waiting, ...this.#trying];
    this.#closing.abort();
    await Promise.allSettled(left.map((id) => this.#ask(id, { timeoutMs: limitMs })));
  }

  async #work(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(this.#runtime, { initialMs: 200, maxMs: 2_000 });
    this.#workers++;
    for (const id of this.#waiting) {
      if (signal.aborted) break;
      this.#waiting.delete(id);
      this.#trying.add(id);
      const gone = await this.#isGone(id);
      // Called off, or done.
      if (!this.#trying.delete(id) || gone) continue;
      // Added again it comes last, and this loop comes to it.
      this.#waiting.add(id);
      await new Promise<void>((resolve) => {
        this.#runtime.clock.timer(backoff.nextMs(), resolve).unref();
      });
    }
    this.#workers--;
  }

  /** @returns whether etcd has confirmed that it is gone */
  async #isGone(id: LeaseId): Promise<boolean> {
    try {
      await this.revoke(id, { signal: this.#closing.signal });
      return true;
    } catch (error) {
      debug("revoking %s in the background failed: %s", id, (error as Error).message);
      return false;
    }
  }

  async #ask(id: LeaseId, options: CallOptions | undefined): Promise<void> {
    const asking = this.#protocol.leaseRevoke(id, options);
    this.#underWay.set(asking, id);
    try {
      await asking;
    } finally {
      this.#underWay.delete(asking);
    }
  }
}
