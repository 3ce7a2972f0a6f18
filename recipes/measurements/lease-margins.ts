import type { LeaseEndedMessage, LeaseRenewedMessage } from "../../src/index.ts";
import type { Clock } from "../../src/internal/index.ts";

/** The leases of a process that were renewed, by when they end unless they are renewed again. */
export class LeaseMargins {
  readonly #clock: Clock;
  readonly #endMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  renewed({ leaseId, remainingMs }: LeaseRenewedMessage): void {
    this.#endMs.set(leaseId, this.#clock.elapsedMs() + remainingMs);
  }

  ended({ leaseId }: LeaseEndedMessage): void {
    this.#endMs.delete(leaseId);
  }

  get size(): number {
    return this.#endMs.size;
  }

  /** Of the one that ends first; undefined: there is none. */
  get leastMs(): number | undefined {
    if (this.#endMs.size === 0) return undefined;
    let first = Number.POSITIVE_INFINITY;
    for (const endMs of this.#endMs.values()) first = Math.min(first, endMs);
    return Math.max(0, first - this.#clock.elapsedMs());
  }
}
