import {
  ClientClosedError,
  type EtcdClient,
  type KeyValue,
  type Lease,
  type LeaseId,
  LeaseNotFoundError,
} from "../../src/index.ts";
import {
  asError,
  type Clock,
  endsRetries,
  log,
  onAbort,
  queueMicrotask,
  type Runtime,
  type Timer,
} from "../../src/internal/index.ts";
import { LeaseLine } from "../leases/index.ts";
import { retry, WarnOnce } from "../retries/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import { type Choice, chooseJob } from "./choose-job.ts";
import { ClaimsAhead } from "./claims-ahead.ts";
import { ClaimsUnderWay } from "./claims-under-way.ts";
import type { Job } from "./job.ts";
import { JobsInHand } from "./jobs-in-hand.ts";
import type { QueueKeys } from "./queue-keys.ts";
import type { Claim, QueuedJob } from "./queued-job.ts";
import { ReleasedRevision } from "./released-revision.ts";
import { SharedView, type ViewMember } from "./shared-view.ts";
import { Strays } from "./strays.ts";
import { Waiters } from "./waiters.ts";
import { WaitingPlace } from "./waiting-place.ts";
import type { QueueNews, WorkerNews, WorkerPort } from "./worker-port.ts";

const debug = log("queue");

/**
 * How long the one whose turn it is may take before others try; half as much again is drawn, so that they do not all
 * try at once.
 */
const GRACE_MS = 250;

/** Delays end by the wall clock, which can be set meanwhile, and goes on while timers of a suspended machine stand. */
const LONGEST_PAUSE_MS = 30_000;

export interface ConsumerParts {
  readonly etcd: EtcdClient;
  readonly keys: QueueKeys;
  readonly ttlSeconds: number;
  readonly maxAttempts: number;
  readonly runtime: Runtime;
  onNews(news: QueueNews): void;
}

/**
 * The worker's side of a queue: one lease for all jobs in hand, and a view of the queue that it shares with all workers
 * of the same client. It looks for work whenever something changes: the view, who asks for a job here, what came of a
 * claim or an ack, a timer for what is due later.
 */
export class Consumer implements ViewMember, WorkerPort {
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly maxAttempts: number;
  readonly #parts: ConsumerParts;
  readonly #lookAgain = () => this.look();
  readonly #waiters = new Waiters(this.#lookAgain);
  readonly #shared: SharedView;
  readonly #place = new WaitingPlace(this);
  readonly #leases: LeaseLine;
  readonly #ahead: ClaimsAhead;
  readonly #claiming: ClaimsUnderWay;
  readonly #inHand = new JobsInHand(this);
  readonly #strays: Strays;
  readonly #released: ReleasedRevision;
  readonly #warnings: WarnOnce;
  readonly #ending = new AbortController();
  #timer: Timer | undefined;
  #granting = false;
  #graceMs = 0;
  #looksSoon = false;

  constructor(parts: ConsumerParts) {
    const { etcd, keys, maxAttempts, runtime } = parts;
    this.keys = keys;
    this.clock = runtime.clock;
    this.maxAttempts = maxAttempts;
    this.#parts = parts;
    this.#warnings = new WarnOnce((error) => parts.onNews({ type: "warning", error }));
    this.#released = new ReleasedRevision(runtime.clock);
    this.#leases = new LeaseLine(etcd, parts.ttlSeconds);
    this.#shared = SharedView.join(etcd, keys, this);
    const [place, waiters, inHand] = [this.#place, this.#waiters, this.#inHand];
    const ahead = new ClaimsAhead(this);
    const view = this.#shared.jobs;
    const claiming = new ClaimsUnderWay({ port: this, view, place, waiters, ahead, inHand });
    const holds = (id: string, claim: Claim) => this.#holds(id, claim);
    this.#strays = new Strays({ port: this, view, leases: this.#leases, inHand, waiters, holds });
    this.#ahead = ahead;
    this.#claiming = claiming;
    this.#drawGrace();
  }

  dequeue(visibilityMs: number | undefined, signal: AbortSignal | undefined): Promise<Job> {
    if (this.#ending.signal.aborted) return Promise.reject(this.#ending.signal.reason);
    const ready = this.#ahead.take();
    if (ready) return Promise.resolve(this.#inHand.hold(ready.claim, ready.lease, visibilityMs));
    const job = this.#waiters.add(visibilityMs, signal);
    this.look();
    return job;
  }

  /** Gives everything back: waiting calls reject, jobs in hand are lost, the lease is revoked. Bounded by `limitMs`. */
  async close(limitMs: number): Promise<void> {
    this.#end(new ClientClosedError(`the queue ${this.keys.name} was closed`));
    const endMs = this.clock.monotonicMs() + limitMs;
    const halfMs = limitMs / 2;
    await Promise.all([this.#claiming.settled(halfMs), this.#ahead.settled(halfMs), this.#inHand.settled(halfMs)]);
    this.#inHand.lose("the queue was closed");
    try {
      await this.#leases.revokeAll({ timeoutMs: Math.max(1, endMs - this.clock.monotonicMs()) });
    } catch (error) {
      if (!(error instanceof ClientClosedError)) this.#parts.onNews({ type: "warning", error: asError(error) });
    }
    await this.#shared.leave(this);
  }

  #end(reason: Error): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#timer?.cancel();
    this.#strays.stop();
    this.#ahead.stop();
    this.#waiters.rejectAll(reason);
  }

  /** The end: a closed client, or what etcd refuses before the queue could be followed. */
  fail(cause: unknown): void {
    if (this.#ending.signal.aborted) return;
    const error = asError(cause);
    this.#end(error);
    void this.#shared.leave(this);
    this.#inHand.lose("the queue failed", { cause: error });
    void this.#leases.revokeAll({}).catch(() => {});
    this.#parts.onNews({ type: "failed", error });
  }

  /** Brings the calls that wait, or are expected, together with what is there. */
  look(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#ending.signal.aborted) return;
    const view = this.#shared.jobs;
    const lease = this.#leases.current;
    if (this.#waiters.size === 0) {
      this.#place.leave();
      // One that was taken late: it would get its turn, and let it pass.
      if (lease && !this.#place.isTaken && view.isWaiting(lease.id)) this.#strays.sweepSoon();
    } else if (!lease) void this.#grantLease();
    const wanted = this.#waiters.size + this.#ahead.expected;
    if (wanted === 0 || !lease || !view.listed || this.#ahead.isUndoing) return;
    const waitMs = this.#released.waitMs(this.#shared.revision);
    if (waitMs > 0) {
      this.#lookIn(waitMs);
      return;
    }
    let lookAgainMs: number | undefined;
    while (this.#claiming.size + this.#ahead.size < wanted) {
      // Looked at again when it has ended.
      if (this.#claiming.isAnnouncing) return;
      const choice = this.#choose(lease);
      lookAgainMs = choice.lookAgainMs;
      if (!choice.job) break;
      void this.#take(choice.job, lease);
    }
    if (this.#claiming.size >= this.#waiters.size || this.#ending.signal.aborted) return;
    this.#place.take(lease);
    const dueMs = view.dueInMs(this.clock.wallMs());
    const nextMs = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, dueMs ?? Number.POSITIVE_INFINITY);
    if (nextMs < Number.POSITIVE_INFINITY) this.#lookIn(Math.min(nextMs, LONGEST_PAUSE_MS));
  }

  async #take(job: QueuedJob, lease: Lease): Promise<void> {
    await this.#claiming.take(job, lease);
    this.#drawGrace();
    this.look();
  }

  /** Once for all that happens in this turn: what reports it may not be done yet. */
  #lookSoon(): void {
    if (this.#looksSoon || this.#waiters.size === 0) return;
    this.#looksSoon = true;
    queueMicrotask(() => {
      this.#looksSoon = false;
      this.look();
    });
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.clock.timer(delayMs, this.#lookAgain);
  }

  #choose(lease: Lease): Choice {
    const nowMs = this.clock.monotonicMs();
    const wallMs = this.clock.wallMs();
    const { jobs: view, hasAll: isShared } = this.#shared;
    view.release(wallMs, nowMs);
    const isTaken = ({ id }: QueuedJob) => this.#isTaken(id);
    const { random } = this.#parts.runtime;
    const graceMs = this.#graceMs;
    const choice = chooseJob({ view, own: lease.id, isShared, isTaken, nowMs, wallMs, graceMs, random });
    this.#shared.passOnNews();
    return choice;
  }

  /** Whether this worker has the job in hand, is about to, or ends it. */
  #isTaken(id: string): boolean {
    const inHand = this.#inHand;
    return this.#claiming.has(id) || this.#ahead.has(id) || inHand.has(id) || inHand.isSettling(id);
  }

  /** One lease for all jobs in hand, as long as a call waits for a job: tried until there is one. */
  async #grantLease(): Promise<void> {
    if (this.#granting) return;
    this.#granting = true;
    const { runtime } = this.#parts;
    const { signal } = this.#ending;
    const attempt = async () => {
      while (!this.#leases.current && this.#waiters.size > 0) {
        const lease = await this.#leases.living(signal);
        this.#shared.use(lease.id, this);
        onAbort(lease.signal, () => this.#leaseLost(lease));
      }
      return true;
    };
    const options = { runtime, signal, backoff: { initialMs: 100 }, onWarning: (error: Error) => this.#failed(error) };
    try {
      await retry(attempt, options);
    } catch {
      // It ends only with the worker.
    }
    this.#granting = false;
    this.look();
  }

  #leaseLost(lease: Lease): void {
    // A client that is being closed is the end, which the view reports next.
    if (this.#parts.etcd.closed) return;
    this.#shared.forget(lease.id);
    this.#inHand.lose("its lease is lost", { lease, cause: lease.signal.reason });
    if (!this.#ending.signal.aborted) this.warn(asError(lease.signal.reason));
    this.look();
  }

  claimSeen(id: string, claim: Claim): void {
    if (claim.lease !== this.#leases.current?.id || this.#holds(id, claim)) return;
    // A claim that is unknown here: one that was given up, and landed late. Or one whose end the view reports soon.
    this.#inHand.strayClaim(id);
    this.#strays.sweepSoon();
  }

  claimGone(id: string, claim: Claim): void {
    this.#ahead.claimGone(id, claim.revision);
    if (this.#inHand.claimGone(id, claim)) this.#strays.sweepSoon();
  }

  /** Whether it is this worker's by this claim: of one under way it is not known yet which it will be. */
  #holds(id: string, { revision }: Claim): boolean {
    return this.#claiming.has(id) || this.#ahead.holds(id, revision) || this.#inHand.holds(id, revision);
  }

  /** Deleted by hand, or with its lease: that would live on, and what it claims would look free. */
  workerGone(id: LeaseId): void {
    const lease = this.#leases.current;
    if (lease?.id === id) this.#leases.gone(lease, new Error("the key of this worker is gone from etcd"));
  }

  placeGone(place: KeyValue): void {
    this.#place.vanished(place);
  }

  /** Of writes on this lease: they make no sense when it is over. */
  writes(lease: Lease): TxnUntilKnownOptions {
    return {
      etcd: this.#parts.etcd,
      runtime: this.#parts.runtime,
      leftMs: () => lease.remainingMs(),
      signal: this.#ending.signal,
      waitsOutDenial: this.#shared.hasWorked,
      onWarning: (error) => this.warn(error),
    };
  }

  onNews(news: WorkerNews): void {
    switch (news.type) {
      case "acking":
        this.#ahead.ackBegun();
        this.look();
        break;
      case "acked":
        this.#ahead.ackEnded();
        break;
      case "releasing":
        this.#ahead.giveBack();
        break;
      case "released":
        this.#released.add(news.revision);
        break;
      case "settled":
        this.#lookSoon();
        break;
      case "undone":
        this.look();
        break;
      case "ended":
        this.workerGone(news.lease.id);
        break;
      case "overtaken":
        this.#strays.sweepSoon();
        break;
      case "dead":
        this.#parts.onNews(news);
        break;
      case "warning":
        this.warn(news.error);
        break;
      case "failure":
        this.#failed(news.error, news.lease);
    }
  }

  #failed(error: unknown, lease?: Lease): void {
    if (this.#ending.signal.aborted) return;
    if (error instanceof LeaseNotFoundError) lease?.abandon(error);
    else if (endsRetries(error, this.#shared.hasWorked)) this.fail(error);
    else this.warn(asError(error));
  }

  warn(error: Error): void {
    debug("%s: %s", this.keys.name, error.message);
    this.#warnings.warn(error);
  }

  worked(): void {
    this.#warnings.worked();
  }

  #drawGrace(): void {
    this.#graceMs = GRACE_MS * (1 + this.#parts.runtime.random() / 2);
  }
}
