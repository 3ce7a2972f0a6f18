import type { Protocol } from "../connection/index.ts";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import { shown } from "../errors/shown.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { abortable, onAbort, within } from "../internal/abort.ts";
import type { Timer } from "../internal/clock.ts";
import { inMs } from "../internal/in-ms.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type LeaseId, leaseId } from "../model/lease-id.ts";
import { askForLease, type GrantedLease } from "./ask-for-lease.ts";
import { HeldLease } from "./held-lease.ts";
import type { Lease, LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { LeaseRevoker } from "./lease-revoker.ts";
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

/** Two silent endpoints, a sixth of the TTL each, still leave a third one time to answer before the deadline. */
const LATEST_RENEWAL = 0.6;
/** The event of a lease that is not renewed comes at most this late after a suspension of the machine. */
const LOOK_EVERY_MS = 60_000;

/** Grants leases and holds the kept-alive ones of a client. */
export class Leases {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  readonly #keeper: LeaseKeeper;
  readonly #revoker: LeaseRevoker;
  /** Grants and revocations that close() waits for. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** The one that holds each id and is not over. */
  readonly #living = new Map<LeaseId, HeldLease>();
  /** Those of them whose renewal has ended. */
  readonly #lapsing = new Set<HeldLease>();
  #closing: { limitMs: number } | undefined;

  constructor(protocol: Protocol, dialTimeoutMs: number, runtime: Runtime) {
    this.#protocol = protocol;
    this.#runtime = runtime;
    this.#keeper = new LeaseKeeper(protocol, dialTimeoutMs, runtime);
    this.#revoker = new LeaseRevoker(protocol, runtime);
  }

  grant(ttlSeconds: number, options: GrantLeaseOptions = {}): Promise<Lease> {
    return this.#follow(this.#grantLease(ttlSeconds, options));
  }

  timeToLive(id: LeaseId, options?: TimeToLiveOptions): Promise<LeaseTimeToLive> {
    return timeToLive(this.#protocol, id, options);
  }

  /** Revokes every kept-alive lease, also those that are being granted or given up, giving etcd `limitMs` for it. */
  async close(limitMs: number): Promise<void> {
    this.#closing = { limitMs };
    const held = [...this.#keeper.leases, ...this.#lapsing];
    this.#keeper.close();
    const givenUp = this.#revoker.close(limitMs);
    const revoking = held.map((lease) => lease.revoke({ timeoutMs: limitMs }));
    const all = Promise.allSettled([...revoking, givenUp, ...this.#underWay]);
    await within(this.#runtime.clock, all, limitMs, () => undefined).catch(() => {});
  }

  #follow<T>(call: Promise<T>): Promise<T> {
    this.#underWay.add(call);
    return call.finally(() => this.#underWay.delete(call));
  }

  async #grantLease(ttlSeconds: number, options: GrantLeaseOptions): Promise<Lease> {
    checkTtl(ttlSeconds);
    const { keepAlive = true, renewEverySeconds } = options;
    checkRenewal(renewEverySeconds, ttlSeconds);
    const chosen = options.id === undefined ? undefined : leaseId(options.id);
    const asked = this.#askFor(chosen, ttlSeconds, options);
    const {
      id,
      ttlSeconds: granted,
      sentMs,
    } = await asked.catch((error: unknown) => {
      throw errorOfCall(() => `grantLease ${chosen ?? `of ${ttlSeconds} s`}`, error, options.signal);
    });
    const lease = new HeldLease({
      id,
      ttlSeconds: granted,
      renewEveryMs: Math.min(renewEverySeconds ?? granted / 3, granted * LATEST_RENEWAL) * 1_000,
      protocol: this.#protocol,
      clock: this.#runtime.clock,
      detached: !keepAlive,
      idIsChosen: chosen !== undefined,
      onLapse: (lapsing) => this.#lapse(lapsing),
      onOver: (over) => this.#forget(over),
      revoke: (ended, how) => this.#follow(this.#revoke(ended, how)),
      onLost: (lost) => this.#giveUp(lost),
    });
    lease.deadline.acknowledged(sentMs, granted);
    if (lease.remainingMs() === 0) {
      this.#giveUp(lease);
      throw new EtcdTimeoutError(`the grant of a lease of ${granted} s took longer than that`, { retryable: true });
    }
    if (this.#closing && keepAlive) {
      await lease.revoke({ timeoutMs: this.#closing.limitMs });
      throw new ClientClosedError("the client was closed while the lease was granted");
    }
    this.#living.get(id)?.replaced();
    this.#living.set(id, lease);
    if (keepAlive) this.#keeper.keep(lease, sentMs + lease.renewEveryMs);
    else this.#endAtDeadline(lease);
    return lease;
  }

  async #askFor(id: LeaseId | undefined, ttlSeconds: number, options: GrantLeaseOptions): Promise<GrantedLease> {
    const { clock } = this.#runtime;
    const { signal, timeoutMs = this.#protocol.requestTimeoutMs } = options;
    const endMs = clock.elapsedMs() + timeoutMs;
    signal?.throwIfAborted();
    if (id !== undefined) {
      const late = () =>
        new EtcdTimeoutError(`a revocation of lease ${id} was still under way after ${inMs(timeoutMs)}`, {
          retryable: true,
        });
      await within(clock, abortable(this.#revoker.callOff(id), signal), timeoutMs, late);
    }
    const giveUp = (random: LeaseId) => this.#revoker.revokeInBackground(random);
    return askForLease({ protocol: this.#protocol, runtime: this.#runtime, giveUp }, ttlSeconds, {
      id,
      signal,
      timeoutMs: Math.max(1, endMs - clock.elapsedMs()),
    });
  }

  /**
   * Etcd may still have it. A random id stands for this lease alone; a chosen one can be granted again at any moment,
   * by another process too, and a late revocation would end that lease.
   */
  #giveUp(lease: HeldLease): void {
    if (!lease.idIsChosen) this.#revoker.revokeInBackground(lease.id);
  }

  async #revoke(lease: HeldLease, options: CallOptions | undefined): Promise<void> {
    // Its id was granted anew here, so the lease itself is gone.
    if (this.#living.has(lease.id)) return;
    try {
      await this.#revoker.revoke(lease.id, options);
    } catch (error) {
      this.#giveUp(lease);
      throw error;
    }
  }

  #forget(lease: HeldLease): void {
    this.#keeper.forget(lease);
    this.#lapsing.delete(lease);
    if (this.#living.get(lease.id) === lease) this.#living.delete(lease.id);
  }

  #lapse(lease: HeldLease): void {
    this.#keeper.forget(lease);
    this.#lapsing.add(lease);
    this.#endAtDeadline(lease);
  }

  /**
   * What is not renewed ends by the clock alone. Its timer never keeps the process alive. It stands still while the
   * machine is suspended, so it looks in between, too.
   */
  #endAtDeadline(lease: HeldLease): void {
    const { clock } = this.#runtime;
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

function checkRenewal(renewEverySeconds: number | undefined, ttlSeconds: number): void {
  if (renewEverySeconds === undefined || renewEverySeconds < ttlSeconds) return;
  throw new InvalidOptionError(
    "grantLease",
    "renewEverySeconds",
    `must be above 0 and below ttlSeconds (${ttlSeconds}), not ${shown(renewEverySeconds)}`,
  );
}
