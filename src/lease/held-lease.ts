import type { Protocol } from "../connection/index.ts";
import { LeaseLostError } from "../errors/lease-lost-error.ts";
import type { Clock } from "../internal/clock.ts";
import { deadlineSignal } from "../internal/deadline-signal.ts";
import { type CallOptions, checkCallOptions } from "../model/call-options.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { Lease, LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";
import { LeaseDeadline } from "./lease-deadline.ts";
import { timeToLive } from "./time-to-live.ts";

export interface HeldLeaseParts {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly renewEveryMs: number;
  readonly protocol: Protocol;
  readonly clock: Clock;
  /** Never renewed, and left to etcd when its time is over. */
  readonly detached: boolean;
  /** Ends a lease that nobody renews when its time is over. */
  endAtDeadline(lease: HeldLease): void;
  /** Takes the lease out of renewal. */
  forget(id: LeaseId): void;
  /** Asks for a renewal now. */
  renewSoon(id: LeaseId): void;
  /** Asks etcd to end it, and goes on in the background if that fails. */
  revoke(id: LeaseId, options: CallOptions | undefined): Promise<void>;
  revokeInBackground(id: LeaseId): void;
}

/** A lease in the hands of its owner: held until it is lost, revoked or abandoned, and never held again after that. */
export class HeldLease implements Lease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly renewEveryMs: number;
  readonly deadline: LeaseDeadline;
  readonly signal: AbortSignal;
  readonly #parts: HeldLeaseParts;
  readonly #controller = new AbortController();
  #renewed: boolean;
  #over = false;
  #gone = false;

  constructor(parts: HeldLeaseParts) {
    this.id = parts.id;
    this.ttlSeconds = parts.ttlSeconds;
    this.renewEveryMs = parts.renewEveryMs;
    this.#parts = parts;
    this.#renewed = !parts.detached;
    this.deadline = new LeaseDeadline(parts.clock);
    this.signal = deadlineSignal(this.#controller, () => this.#lostNow());
  }

  remainingMs(): number {
    if (this.#lostNow() || this.#over) return 0;
    return this.#renewed ? this.deadline.remainingMs() : this.deadline.remainingByEitherClockMs();
  }

  timeToLive(options?: TimeToLiveOptions): Promise<LeaseTimeToLive> {
    return timeToLive(this.#parts.protocol, this.id, options);
  }

  async revoke(options?: CallOptions): Promise<void> {
    checkCallOptions(options);
    if (!this.#over) this.#end(new LeaseLostError(`lease ${this.id} was revoked by its owner`));
    if (this.#gone) return;
    // Each with its own signal and time: etcd does not mind being asked twice.
    await this.#parts.revoke(this.id, options);
    this.#gone = true;
  }

  lapse(): void {
    if (this.#over || !this.#renewed) return;
    this.#renewed = false;
    this.#parts.forget(this.id);
    this.#parts.endAtDeadline(this);
  }

  abandon(cause?: unknown): void {
    this.lose(new LeaseLostError(`lease ${this.id} was given up`, { cause }));
  }

  /** It is gone, or cannot be proven to be there: renewal stops first, then whoever uses it is told, then etcd is rid of it. */
  lose(error: LeaseLostError): void {
    if (this.#over) return;
    this.#end(error);
    this.#parts.revokeInBackground(this.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.revoke();
  }

  #end(error: LeaseLostError): void {
    this.#over = true;
    this.#parts.forget(this.id);
    this.#controller.abort(error);
  }

  /** The clock decides, not the timers: they may be late. Past the deadline it ends the lease; in mere doubt it returns the doubt. */
  #lostNow(): LeaseLostError | undefined {
    if (this.#over) return undefined;
    if (!this.#renewed) {
      if (this.deadline.remainingByEitherClockMs() > 0) return undefined;
      this.#end(new LeaseLostError(`lease ${this.id} is past its ${this.ttlSeconds} s`));
      return undefined;
    }
    if (this.deadline.hasPassed()) {
      this.lose(new LeaseLostError(`lease ${this.id} was not renewed within its ${this.ttlSeconds} s`));
      return undefined;
    }
    if (!this.deadline.suspended()) return undefined;
    this.#parts.renewSoon(this.id);
    return new LeaseLostError(`lease ${this.id} is in doubt: the machine seems to have been suspended`);
  }
}
