import type { LeaseTimeToLiveResponse, Protocol } from "../connection/index.ts";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { ConflictError } from "../errors/conflict-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { onAbort, within } from "../internal/abort.ts";
import type { Timer } from "../internal/clock.ts";
import type { Runtime } from "../internal/runtime.ts";
import { type CallOptions, checkCallOptions, shown } from "../model/call-options.ts";
import { type LeaseId, leaseId, randomLeaseId } from "../model/lease-id.ts";
import { HeldLease } from "./held-lease.ts";
import type { Lease, LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";
import { sendTime } from "./lease-deadline.ts";
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
   * time to try a second endpoint: 0.6 of the granted TTL at the latest. @default a third of the granted TTL
   */
  renewEverySeconds?: number | undefined;
  /** An id of the caller's choosing. @default random */
  id?: LeaseId | undefined;
}

/** Two silent endpoints, a sixth of the TTL each, still leave a third one time to answer before the deadline. */
const LATEST_RENEWAL = 0.6;

/** Grants leases and holds the kept-alive ones of a client. */
export class Leases {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  readonly #keeper: LeaseKeeper;
  readonly #revoker: LeaseRevoker;
  /** Grants and revocations that close() waits for. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** Those whose renewal has ended and that are not over. */
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
    checkCallOptions(options);
    const { keepAlive = true, renewEverySeconds } = options;
    checkRenewal(renewEverySeconds, ttlSeconds);
    const id = options.id === undefined ? randomLeaseId(this.#runtime.random) : checkedId(options.id);
    const sent = sendTime(this.#runtime.clock);
    const granted = await this.#askFor(id, ttlSeconds, options);
    const lease = new HeldLease({
      id,
      ttlSeconds: granted,
      renewEveryMs: Math.min(renewEverySeconds ?? granted / 3, granted * LATEST_RENEWAL) * 1_000,
      protocol: this.#protocol,
      clock: this.#runtime.clock,
      forget: (lost) => this.#keeper.forget(lost),
      renewSoon: (doubtful) => this.#keeper.renewSoon(doubtful),
      revoke: (ended, how) => this.#follow(this.#revoker.revoke(ended, how)),
      revokeInBackground: (lost) => this.#revoker.revokeInBackground(lost),
      detached: !keepAlive,
      endAtDeadline: (lapsing) => this.#lapse(lapsing),
    });
    lease.deadline.acknowledged(sent, granted);
    if (lease.remainingMs() === 0) {
      this.#revoker.revokeInBackground(id);
      throw new EtcdTimeoutError(`the grant of a lease of ${granted} s took longer than that`, { retryable: true });
    }
    if (this.#closing && keepAlive) {
      await lease.revoke({ timeoutMs: this.#closing.limitMs });
      throw new ClientClosedError("the client was closed while the lease was granted");
    }
    if (keepAlive) this.#keeper.keep(lease, sent.monotonicMs + lease.renewEveryMs);
    else this.#endAtDeadline(lease);
    return lease;
  }

  /** Returns the TTL as granted. A lease that may be there although this fails is not left behind. */
  async #askFor(id: LeaseId, ttlSeconds: number, options: GrantLeaseOptions): Promise<number> {
    const { clock } = this.#runtime;
    const { signal, timeoutMs = this.#protocol.requestTimeoutMs } = options;
    const startMs = clock.monotonicMs();
    const endMs = startMs + timeoutMs;
    signal?.throwIfAborted();
    let maybeGranted = false;
    try {
      try {
        return (await this.#protocol.leaseGrant(id, ttlSeconds, { signal, timeoutMs })).ttlSeconds;
      } catch (error) {
        // The reason of an abort can be an EtcdError too, and says nothing about the grant.
        maybeGranted = signal?.aborted === true || !(error instanceof EtcdError) || error.outcomeUnknown;
        // Perhaps ours: the id is random, or an earlier attempt of this very call may have gone through.
        if (!(error instanceof ConflictError && (options.id === undefined || maybeGranted))) throw error;
        maybeGranted = true;
        const chosen = options.id !== undefined;
        const leftMs = Math.max(1, endMs - clock.monotonicMs());
        const asked = this.#protocol.leaseTimeToLive(id, chosen, { signal, timeoutMs: leftMs });
        const granted = await asked.catch(() => undefined);
        signal?.throwIfAborted();
        const known = granted !== undefined && granted.grantedSeconds > 0;
        // The lease that was there may be somebody else's: then it has run for longer, or has keys already.
        if (known && (!chosen || isFresh(granted, clock.monotonicMs() - startMs))) return granted.grantedSeconds;
        // No answer, or from a member that is behind. At least what was asked for is granted, if the lease is ours for sure.
        if (!chosen) return ttlSeconds;
        throw error;
      }
    } catch (error) {
      if (maybeGranted && options.id === undefined) this.#revoker.revokeInBackground(id);
      throw error;
    }
  }

  #lapse(lease: HeldLease): void {
    this.#lapsing.add(lease);
    onAbort(lease.signal, () => this.#lapsing.delete(lease));
    this.#endAtDeadline(lease);
  }

  /** What nobody renews ends by the clock alone. Its timer never keeps the process alive. */
  #endAtDeadline(lease: HeldLease): void {
    const { clock } = this.#runtime;
    let timer: Timer | undefined;
    const look = () => {
      if (!lease.signal.aborted) timer = clock.timer(lease.deadline.atMs - clock.monotonicMs(), look).unref();
    };
    look();
    onAbort(lease.signal, () => timer?.cancel());
  }
}

/** Whether the lease can have been granted within the last `sinceMs`, as far as etcd tells. It counts in whole seconds. */
function isFresh({ grantedSeconds, remainingSeconds, keys }: LeaseTimeToLiveResponse, sinceMs: number): boolean {
  return keys.length === 0 && remainingSeconds + 1 + sinceMs / 1_000 >= grantedSeconds;
}

function checkTtl(ttlSeconds: number): void {
  if (Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= LARGEST_TTL_SECONDS) return;
  throw new InvalidOptionError(
    "grantLease",
    "ttlSeconds",
    `must be a whole number of seconds from 1 to ${LARGEST_TTL_SECONDS}, not ${shown(ttlSeconds)}`,
  );
}

function checkedId(id: LeaseId): LeaseId {
  try {
    return leaseId(id);
  } catch {
    throw new InvalidOptionError("grantLease", "id", "must be a lease id: 1 to 16 hex digits, above 0 and below 2^63");
  }
}

function checkRenewal(renewEverySeconds: number | undefined, ttlSeconds: number): void {
  if (renewEverySeconds === undefined || isBetween(renewEverySeconds, ttlSeconds)) return;
  throw new InvalidOptionError(
    "grantLease",
    "renewEverySeconds",
    `must be above 0 and below ttlSeconds (${ttlSeconds}), not ${shown(renewEverySeconds)}`,
  );
}

function isBetween(renewEverySeconds: unknown, ttlSeconds: number): boolean {
  return typeof renewEverySeconds === "number" && renewEverySeconds > 0 && renewEverySeconds < ttlSeconds;
}
