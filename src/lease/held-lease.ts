import type { Protocol } from "../connection/index.ts";
import { flag, optionsOf } from "../errors/check-options.ts";
import { LeaseLostError } from "../errors/lease-lost-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import type { LeaseEndedMessage } from "../internal/channel-messages.ts";
import { channels } from "../internal/channels.ts";
import type { Clock } from "../internal/clock.ts";
import { deadlineSignal } from "../internal/deadline-signal.ts";
import { showAs } from "../internal/show-as.ts";
import { type CallOptions, callChecks, callOptionsOf } from "../model/call-options.ts";
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
  /** The caller named the id, and may name it again. */
  readonly idIsChosen: boolean;
  readonly owner: HeldLeaseOwner;
}

/** Who handed the lease out. */
export interface HeldLeaseOwner {
  /** Called when its renewal is to end and it lives on until its deadline. */
  onLapse(lease: HeldLease): void;
  /** Called once, when it is over, before the signal aborts. */
  onOver(lease: HeldLease): void;
  /** Asks etcd to end it. */
  revoke(lease: HeldLease, options: CallOptions | undefined): Promise<void>;
  /** Called when it was lost: etcd may still have it. */
  onLost(lease: HeldLease): void;
}

const checkTimeToLive = optionsOf("Lease.timeToLive", { ...callChecks, keys: flag });
const checkRevoke = callOptionsOf("Lease.revoke");

/** A lease in the hands of its owner: held until it is lost, revoked or abandoned, and never held again after that. */
export class HeldLease implements Lease {
  static {
    showAs(HeldLease, "Lease", (it) => ({
      id: it.id,
      ttlSeconds: it.ttlSeconds,
      remainingMs: Math.round(it.remainingMs()),
      aborted: it.signal.aborted,
    }));
  }

  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly renewEveryMs: number;
  readonly idIsChosen: boolean;
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
    this.idIsChosen = parts.idIsChosen;
    this.#parts = parts;
    this.#renewed = !parts.detached;
    this.deadline = new LeaseDeadline(parts.clock);
    this.signal = deadlineSignal(this.#controller, () => this.#look());
  }

  get isDetached(): boolean {
    return this.#parts.detached;
  }

  remainingMs(): number {
    this.#look();
    return this.#over ? 0 : this.deadline.remainingMs();
  }

  async timeToLive(options?: TimeToLiveOptions): Promise<LeaseTimeToLive> {
    checkTimeToLive(options);
    return timeToLive(this.#parts.protocol, this.id, options);
  }

  async revoke(options?: CallOptions): Promise<void> {
    checkRevoke(options);
    if (!this.#over) this.#end(new LeaseLostError(`lease ${this.id} was revoked by its owner`), "revoked");
    if (this.#gone) return;
    // Each with its own signal and time: etcd does not mind being asked twice.
    await this.#parts.owner.revoke(this, options).catch((error: unknown) => {
      throw errorOfCall(() => `revoke ${this.id}`, error, options?.signal);
    });
    this.#gone = true;
  }

  lapse(): void {
    if (this.#over || !this.#renewed) return;
    this.#renewed = false;
    this.#parts.owner.onLapse(this);
  }

  abandon(cause?: unknown): void {
    this.lose(new LeaseLostError(`lease ${this.id} was given up`, { cause }));
  }

  /**
   * It is gone, or cannot be proven to be there: renewal stops first, then its users hear of it, then etcd is rid of
   * it.
   */
  lose(error: LeaseLostError): void {
    if (this.#over) return;
    this.#end(error);
    this.#parts.owner.onLost(this);
  }

  /**
   * Its id was granted anew, so etcd did not have it any more: nothing that is done from here on may touch the new one.
   */
  replaced(): void {
    this.#gone = true;
    if (!this.#over) this.#end(new LeaseLostError(`lease ${this.id} was gone, and its id was granted anew`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.revoke();
  }

  #end(error: LeaseLostError, how: LeaseEndedMessage["how"] = "lost"): void {
    this.#over = true;
    const { id: leaseId, ttlSeconds } = this;
    if (channels.leaseEnded.heard) channels.leaseEnded.publish({ leaseId, ttlSeconds, how, error });
    this.#parts.owner.onOver(this);
    this.#controller.abort(error);
  }

  /** The clock decides, not the timers: they may be late. */
  #look(): void {
    if (this.#over || !this.deadline.hasPassed()) return;
    if (this.#renewed)
      this.lose(new LeaseLostError(`lease ${this.id} was not renewed within its ${this.ttlSeconds} s`));
    else this.#end(new LeaseLostError(`lease ${this.id} is past its ${this.ttlSeconds} s`), "expired");
  }
}
