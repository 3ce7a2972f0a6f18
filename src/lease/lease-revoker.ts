import type { Protocol } from "../connection/index.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { Backoff } from "../internal/backoff.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { LeaseId } from "../model/lease-id.ts";

const debug = log("lease");

/**
 * Revokes leases that nobody holds any more until etcd says that they are gone. Without it a lease that was lost in an
 * outage comes back with its whole TTL and its keys stand in their own owner's way. It never keeps the process alive
 * between attempts.
 */
export class LeaseRevoker {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  readonly #pending = new Set<LeaseId>();
  readonly #closing = new AbortController();

  constructor(protocol: Protocol, runtime: Runtime) {
    this.#protocol = protocol;
    this.#runtime = runtime;
  }

  revokeInBackground(id: LeaseId): void {
    if (this.#pending.has(id) || this.#closing.signal.aborted) return;
    this.#pending.add(id);
    void this.#revoke(id).finally(() => this.#pending.delete(id));
  }

  close(): void {
    this.#closing.abort();
  }

  async #revoke(id: LeaseId): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(this.#runtime, { initialMs: 200, maxMs: 2_000 });
    while (!signal.aborted) {
      try {
        await this.#protocol.leaseRevoke(id, { signal });
        return;
      } catch (error) {
        if (error instanceof LeaseNotFoundError) return;
        debug("revoking %s in the background failed: %s", id, (error as Error).message);
      }
      await new Promise<void>((resolve) => {
        this.#runtime.clock.timer(backoff.nextMs(), resolve).unref();
      });
    }
  }
}
