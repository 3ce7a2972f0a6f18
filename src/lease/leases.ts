import type { Protocol } from "../connection/index.ts";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { ConflictError } from "../errors/conflict-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import { shown } from "../errors/shown.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { abortable, onAbort, within } from "../internal/abort.ts";
import type { Timer } from "../internal/clock.ts";
import { inMs } from "../internal/in-ms.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type LeaseId, leaseId } from "../model/lease-id.ts";
import { type AskForLeaseParts, askForLease, type GrantedLease } from "./ask-for-lease.ts";
import { HeldLease, type HeldLeaseOwner } from "./held-lease.ts";
import type { Lease, LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";
import { LeaseDeadline } from "./lease-deadline.ts";
import type { LeaseEngine } from "./lease-engine.ts";
import { renewOnce } from "./renew-once.ts";
import { timeToLive } from "./time-to-live.ts";

/** etcd's own limit (lease/lessor.go). */
const LARGEST_TTL_SECONDS = 9_000_000_000;

export interface GrantLeaseOptions extends CallOptions {
  /**
   * Renew it until `revoke()` or `close()`. `false` makes a *detached* lease: never renewed by us, not revoked by
   * `close()`, it outlives the process. @default true
   */
  keepAlive?: boolean | undefined;
  /**
   * Seconds between renewals; above 0 and below the TTL. It is renewed earlier than asked for where that would leave no
   * time to try a second endpoint: 0.6 of the granted TTL at the latest. Leases that are due within an eighth of their
   * interval are renewed together, so each may be renewed that much earlier. @default a third of the granted TTL
   */
  renewEverySeconds?: number | undefined;
  /**
   * An id of the caller's choosing. One lease at a time may have it, in all processes: two holders of one id take each
   * other's lease for their own, and the first that revokes it takes it from both. A lease with a chosen id is never
   * revoked in the background: one that was lost in an outage stays in etcd for its TTL, and until then granting its id
   * rejects with a `ConflictError`. Grant it anew only after all requests of the last holder have been answered.
   * @default random
   */
  id?: LeaseId | undefined;
}

/** How an existing lease is taken over. */
export interface AdoptLeaseOptions extends CallOptions {
  /**
   * Renew it until `revoke()` or `close()`, which then revokes it. `false`: it is never renewed by us, and outlives
   * the process if it lasts so long. @default true
   */
  keepAlive?: boolean | undefined;
  /** As of a lease that is granted. @default a third of its TTL */
  renewEverySeconds?: number | undefined;
}

/** What etcd said to one renewal. */
export interface LeaseRenewal {
  /** The time that the lease has again, in whole seconds: the TTL that it was granted with. */
  readonly ttlSeconds: number;
}

interface NewHandle extends AdoptLeaseOptions {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** From when it was sent. @default the TTL */
  readonly aliveForSeconds?: number;
  readonly sentMs: number;
  readonly idIsChosen: boolean;
}

/** Two silent endpoints, a sixth of the TTL each, still leave a third one time to answer before the deadline. */
const LATEST_RENEWAL = 0.6;
/** The event of a lease that is not renewed comes at most this late after a suspension of the machine. */
const LOOK_EVERY_MS = 60_000;

/** Grants and adopts leases, and holds the kept-alive ones of a client, or of one namespace of it. */
export class Leases {
  readonly #protocol: Protocol;
  readonly #engine: LeaseEngine;
  readonly #asking: AskForLeaseParts;
  /** Grants and revocations of this client. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** Those that are kept alive, or were until they began to lapse. */
  readonly #held = new Set<HeldLease>();
  /** One for all of them: there may be thousands. */
  readonly #owner: HeldLeaseOwner = {
    onLapse: (lapsing) => this.#lapse(lapsing),
    onOver: (over) => this.#forget(over),
    revoke: (ended, options) => this.#follow(this.#revoke(ended, options)),
    onLost: (lost) => this.#giveUp(lost),
  };
  #closing: { limitMs: number } | undefined;

  /** @param protocol what shows the keys on a lease as this client names them */
  constructor(protocol: Protocol, engine: LeaseEngine) {
    const { runtime, revoker } = engine;
    this.#protocol = protocol;
    this.#engine = engine;
    this.#asking = { protocol, runtime, giveUp: (random) => revoker.revokeInBackground(random) };
  }

  grant(ttlSeconds: number, options: GrantLeaseOptions = {}): Promise<Lease> {
    return this.#follow(this.#grantLease(ttlSeconds, options));
  }

  adopt(id: LeaseId, options: AdoptLeaseOptions = {}): Promise<Lease> {
    return this.#follow(this.#adopt(id, options));
  }

  async renewOnce(id: LeaseId, options: CallOptions = {}): Promise<LeaseRenewal> {
    const renewed = await renewOnce({ ...this.#engine, protocol: this.#protocol }, id, options).catch(
      (error: unknown) => {
        throw errorOfCall(() => `keepAliveOnce ${id}`, error, options.signal);
      },
    );
    return { ttlSeconds: renewed.ttlSeconds };
  }

  async list(options: CallOptions = {}): Promise<readonly LeaseId[]> {
    return this.#protocol.leaseLeases(options).catch((error: unknown) => {
      throw errorOfCall(() => "leases", error, options.signal);
    });
  }

  timeToLive(id: LeaseId, options?: TimeToLiveOptions): Promise<LeaseTimeToLive> {
    return timeToLive(this.#protocol, id, options);
  }

  /**
   * Revokes those that this client keeps alive, also what is being granted, and leaves the others on its connections
   * alone.
   */
  async close(limitMs: number): Promise<void> {
    this.#closing = { limitMs };
    const revoking = [...this.#held].map((lease) => lease.revoke({ timeoutMs: limitMs }));
    const all = Promise.allSettled([...revoking, ...this.#underWay]);
    await within(this.#engine.runtime.clock, all, limitMs, () => undefined).catch(() => {});
  }

  #follow<T>(call: Promise<T>): Promise<T> {
    this.#underWay.add(call);
    this.#engine.underWay.add(call);
    const over = () => {
      this.#underWay.delete(call);
      this.#engine.underWay.delete(call);
    };
    call.then(over, over);
    return call;
  }

  async #grantLease(ttlSeconds: number, options: GrantLeaseOptions): Promise<Lease> {
    checkTtl(ttlSeconds);
    checkRenewal("grantLease", options.renewEverySeconds, ttlSeconds);
    const chosen = options.id === undefined ? undefined : leaseId(options.id);
    let granted: GrantedLease;
    try {
      granted = await (chosen === undefined
        ? this.#askFor(undefined, ttlSeconds, options)
        : this.#askForChosen(chosen, ttlSeconds, options));
    } catch (error) {
      throw errorOfCall(() => `grantLease ${chosen ?? `of ${ttlSeconds} s`}`, error, options.signal);
    }
    const { keepAlive, renewEverySeconds } = options;
    const lease = this.#handle({ ...granted, keepAlive, renewEverySeconds, idIsChosen: chosen !== undefined });
    if (lease.remainingMs() === 0) {
      this.#giveUp(lease);
      const problem = `the grant of a lease of ${lease.ttlSeconds} s took longer than that`;
      throw new EtcdTimeoutError(problem, { retryable: true });
    }
    const closing = this.#closing ?? this.#engine.closing;
    if (closing && options.keepAlive !== false) {
      await lease.revoke({ timeoutMs: closing.limitMs });
      throw new ClientClosedError("the client was closed while the lease was granted");
    }
    this.#engine.living.get(lease.id)?.replaced();
    return this.#hold(lease, granted.sentMs);
  }

  async #adopt(id: LeaseId, options: AdoptLeaseOptions): Promise<Lease> {
    const { keepAlive = true, renewEverySeconds, ...call } = options;
    this.#checkNotHeld(id);
    try {
      const rest = await this.#callOff(id, call);
      const found = keepAlive
        ? await renewOnce({ ...this.#engine, protocol: this.#protocol }, id, rest)
        : await this.#timeLeft(id, rest);
      this.#checkNotHeld(id);
      if (this.#closing ?? this.#engine.closing) throw new ClientClosedError("the client was closed");
      checkRenewal("adoptLease", renewEverySeconds, found.ttlSeconds);
      const lease = this.#handle({ ...found, id, keepAlive, renewEverySeconds, idIsChosen: true });
      return this.#hold(lease, found.sentMs);
    } catch (error) {
      throw errorOfCall(() => `adoptLease ${id}`, error, options.signal);
    }
  }

  #checkNotHeld(id: LeaseId): void {
    if (this.#engine.living.has(id)) throw new ConflictError(`this client holds lease ${id} already`);
  }

  #handle(handle: NewHandle): HeldLease {
    const { id, ttlSeconds, aliveForSeconds = ttlSeconds, sentMs } = handle;
    const lease = new HeldLease({
      id,
      ttlSeconds,
      renewEveryMs: Math.min(handle.renewEverySeconds ?? ttlSeconds / 3, ttlSeconds * LATEST_RENEWAL) * 1_000,
      protocol: this.#protocol,
      clock: this.#engine.runtime.clock,
      detached: handle.keepAlive === false,
      idIsChosen: handle.idIsChosen,
      owner: this.#owner,
    });
    lease.deadline.acknowledged(sentMs, aliveForSeconds);
    return lease;
  }

  #hold(lease: HeldLease, sentMs: number): Lease {
    this.#engine.living.set(lease.id, lease);
    if (lease.isDetached) {
      this.#endAtDeadline(lease);
    } else {
      this.#held.add(lease);
      this.#engine.keeper.keep(lease, sentMs + lease.renewEveryMs);
    }
    return lease;
  }

  /** What is left of a lease, from when it was asked for; asked again where the answer came after all of that. */
  async #timeLeft(id: LeaseId, options: CallOptions) {
    const { clock } = this.#engine.runtime;
    const { signal, timeoutMs = this.#protocol.requestTimeoutMs } = options;
    const endMs = clock.elapsedMs() + timeoutMs;
    for (;;) {
      const sentMs = clock.elapsedMs();
      const call = { signal, timeoutMs: Math.max(1, endMs - sentMs), keys: false };
      const { grantedSeconds: ttlSeconds, remainingSeconds } = await timeToLive(this.#protocol, id, call);
      const deadline = new LeaseDeadline(clock);
      deadline.acknowledged(sentMs, remainingSeconds);
      const cameTooLate = remainingSeconds > 0 && deadline.hasPassed();
      if (!cameTooLate) return { ttlSeconds, aliveForSeconds: remainingSeconds, sentMs };
    }
  }

  /** A revocation of the one that had the id before ends first. */
  async #askForChosen(id: LeaseId, ttlSeconds: number, options: CallOptions): Promise<GrantedLease> {
    return this.#askFor(id, ttlSeconds, await this.#callOff(id, options));
  }

  /**
   * Ends the revocation of an id, within the time of a call.
   *
   * @returns what the call has left
   */
  async #callOff(id: LeaseId, options: CallOptions): Promise<CallOptions> {
    const { clock } = this.#engine.runtime;
    const { signal, timeoutMs = this.#protocol.requestTimeoutMs } = options;
    const endMs = clock.elapsedMs() + timeoutMs;
    signal?.throwIfAborted();
    const late = () =>
      new EtcdTimeoutError(`a revocation of lease ${id} was still under way after ${inMs(timeoutMs)}`, {
        retryable: true,
      });
    await within(clock, abortable(this.#engine.revoker.callOff(id), signal), timeoutMs, late);
    return { signal, timeoutMs: Math.max(1, endMs - clock.elapsedMs()) };
  }

  #askFor(id: LeaseId | undefined, ttlSeconds: number, options: CallOptions): Promise<GrantedLease> {
    const { signal, timeoutMs = this.#protocol.requestTimeoutMs } = options;
    return askForLease(this.#asking, ttlSeconds, { id, signal, timeoutMs });
  }

  /**
   * Etcd may still have it. A random id stands for this lease alone; a chosen one can be granted again at any moment,
   * by another process too, and a late revocation would end that lease.
   */
  #giveUp(lease: HeldLease): void {
    if (!lease.idIsChosen) this.#engine.revoker.revokeInBackground(lease.id);
  }

  async #revoke(lease: HeldLease, options: CallOptions | undefined): Promise<void> {
    // Its id was granted anew here, so the lease itself is gone.
    if (this.#engine.living.has(lease.id)) return;
    try {
      await this.#engine.revoker.revoke(lease.id, options);
    } catch (error) {
      this.#giveUp(lease);
      throw error;
    }
  }

  #forget(lease: HeldLease): void {
    const { keeper, living } = this.#engine;
    keeper.forget(lease);
    this.#held.delete(lease);
    if (living.get(lease.id) === lease) living.delete(lease.id);
  }

  #lapse(lease: HeldLease): void {
    this.#engine.keeper.forget(lease);
    this.#endAtDeadline(lease);
  }

  /**
   * What is not renewed ends by the clock alone. Its timer never keeps the process alive. It stands still while the
   * machine is suspended, so it looks in between, too.
   */
  #endAtDeadline(lease: HeldLease): void {
    const { clock } = this.#engine.runtime;
    let timer: Timer | undefined;
    const look = () => {
      if (lease.signal.aborted) return;
      timer = clock.timer(Math.min(lease.remainingMs(), LOOK_EVERY_MS), look).unref();
    };
    look();
    onAbort(lease.signal, () => timer?.cancel());
  }
}

function checkTtl(ttlSeconds: number): void {
  if (Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= LARGEST_TTL_SECONDS) return;
  throw new InvalidOptionError(
    "grantLease",
    "ttlSeconds",
    `must be a whole number of seconds from 1 to ${LARGEST_TTL_SECONDS}, not ${shown(ttlSeconds)}`,
  );
}

function checkRenewal(what: string, renewEverySeconds: number | undefined, ttlSeconds: number): void {
  if (renewEverySeconds === undefined || renewEverySeconds < ttlSeconds) return;
  throw new InvalidOptionError(
    what,
    "renewEverySeconds",
    `must be above 0 and below the lease's TTL (${ttlSeconds}), not ${shown(renewEverySeconds)}`,
  );
}
