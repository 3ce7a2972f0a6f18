import {
  ClientClosedError,
  type EtcdClient,
  type KeyValue,
  type Lease,
  LeaseNotFoundError,
  type Mirror,
  RequestRefusedError,
} from "../../src/index.ts";
import { type Deferred, log, onAbort, quietDeferred, type Runtime, type Timer } from "../../src/internal/index.ts";
import { asError, isMendable } from "../common/index.ts";
import { type Choice, chooseJob } from "./choose-job.ts";
import { type DeadLetter, toLetter } from "./dead-letters.ts";
import type { Job } from "./job.ts";
import { buryJob, claimJob, leavePlace, undoClaim } from "./job-claim.ts";
import { JobsInHand } from "./jobs-in-hand.ts";
import type { PersistentTxnOptions } from "./persistent-txn.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { QueueView } from "./queue-view.ts";
import type { QueuedJob } from "./queued-job.ts";
import { TxnBatch } from "./txn-batch.ts";
import { WaitingPlace } from "./waiting-place.ts";
import { WorkerLease } from "./worker-lease.ts";

const debug = log("queue");

/** How long the one whose turn it is may take before others try; half as much again is drawn, so that they do not all try at once. */
const GRACE_MS = 250;
/** How long the mirror may take to tell what came of a claim. */
const MIRROR_LAG_MS = 1_000;

export interface ConsumerParts {
  readonly etcd: EtcdClient;
  readonly keys: QueueKeys;
  readonly ttlSeconds: number;
  readonly maxAttempts: number;
  readonly runtime: Runtime;
  onWarning(error: Error): void;
  onFailed(error: Error): void;
  onDead(letter: DeadLetter): void;
}

interface Waiter {
  readonly visibilityMs: number | undefined;
  readonly job: Deferred<Job>;
  /** Takes the listener off the caller's signal. */
  off: () => void;
}

/**
 * The worker's side of a queue: one mirror of it, one lease for all jobs in hand. It looks for work whenever something
 * changes: the mirror, who asks for a job here, what came of a claim, a timer for what is due later.
 */
export class Consumer {
  readonly #parts: ConsumerParts;
  readonly #view: QueueView;
  readonly #batch: TxnBatch;
  readonly #place: WaitingPlace;
  readonly #lease: WorkerLease;
  readonly #inHand: JobsInHand;
  readonly #ending = new AbortController();
  readonly #waiters = new Set<Waiter>();
  /** Jobs that are being claimed, or buried, for somebody who waits. */
  readonly #claiming = new Set<string>();
  #mirror: Mirror | undefined;
  #leaving = false;
  #timer: Timer | undefined;
  #sweep: Timer | undefined;
  #graceMs = 0;
  #ownRevision = 0;
  #ownRevisionUntilMs = 0;
  #lastWarning: string | undefined;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.#batch = new TxnBatch(parts.etcd);
    this.#view = new QueueView(parts.keys, {
      claimed: (id, claim) => this.#sawClaim(id, claim),
      unclaimed: (id, claim) => this.#inHand.claimGone(id, claim),
      left: (place) => this.#place.vanished(place),
      invalid: (error) => this.#warn(error),
    });
    this.#place = new WaitingPlace(
      parts.keys,
      (lease) => this.#writes(lease),
      (error, lease) => this.#stumbled(error, lease),
    );
    this.#lease = new WorkerLease({
      ...parts,
      signal: this.#ending.signal,
      isWanted: () => this.#waiters.size > 0,
      onGranted: () => this.#look(),
      onLost: (lease) => this.#leaseLost(lease),
      onError: (error) => this.#stumbled(error),
    });
    this.#inHand = new JobsInHand({
      ...parts,
      clock: parts.runtime.clock,
      batch: this.#batch,
      writes: (lease) => this.#writes(lease),
      onReleased: (revision) => this.#lookPast(revision),
      onError: (error, lease) => this.#stumbled(error, lease),
    });
    this.#drawGrace();
  }

  dequeue(visibilityMs: number | undefined, signal: AbortSignal | undefined): Promise<Job> {
    if (this.#ending.signal.aborted) return Promise.reject(this.#ending.signal.reason);
    const waiter: Waiter = { visibilityMs, job: quietDeferred(), off: () => {} };
    this.#waiters.add(waiter);
    waiter.off = onAbort(signal, () => {
      this.#waiters.delete(waiter);
      waiter.job.reject(signal?.reason);
      this.#look();
    });
    this.#look();
    return waiter.job.promise;
  }

  /** Gives everything back: who waits is told, jobs in hand are lost, the lease is revoked. Bounded by `limitMs`. */
  async close(limitMs: number): Promise<void> {
    const { clock } = this.#parts.runtime;
    this.#end(new ClientClosedError(`the queue ${this.#parts.keys.name} was closed`));
    const endMs = clock.monotonicMs() + limitMs;
    await this.#inHand.settled(limitMs / 2);
    this.#inHand.lose(() => true, "the queue was closed");
    try {
      await this.#lease.current?.revoke({ timeoutMs: Math.max(1, endMs - clock.monotonicMs()) });
    } catch (error) {
      if (!(error instanceof ClientClosedError)) this.#parts.onWarning(asError(error));
    }
    await this.#mirror?.close();
  }

  #end(reason: Error): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#timer?.cancel();
    this.#sweep?.cancel();
    for (const waiter of this.#waiters) {
      waiter.off();
      waiter.job.reject(reason);
    }
    this.#waiters.clear();
  }

  /** What a retry cannot mend. */
  #fail(cause: unknown): void {
    if (this.#ending.signal.aborted) return;
    const error = asError(cause);
    this.#end(error);
    void this.#mirror?.close();
    this.#inHand.lose(() => true, "the queue failed", error);
    this.#lease.current?.abandon(error);
    this.#parts.onFailed(error);
  }

  /** Brings whoever waits together with what is there. */
  #look(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#ending.signal.aborted) return;
    if (this.#waiters.size === 0) {
      this.#place.leave();
      // One that was taken late: it would get its turn, and let it pass.
      const own = this.#lease.current?.id;
      if (own && !this.#place.isTaken && this.#view.waiting.includes(own)) this.#sweepSoon();
      return;
    }
    this.#follow();
    const lease = this.#lease.living();
    if (!lease || !this.#view.listed || this.#isBehind()) return;
    let lookAgainMs: number | undefined;
    while (this.#claiming.size < this.#waiters.size) {
      const choice = this.#choose(lease);
      lookAgainMs = choice.lookAgainMs;
      if (!choice.job) break;
      void this.#take(choice.job, lease);
    }
    if (this.#claiming.size >= this.#waiters.size || this.#ending.signal.aborted) return;
    this.#place.take(lease);
    const dueMs = this.#view.dueInMs(this.#parts.runtime.clock.wallMs());
    const nextMs = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, dueMs ?? Number.POSITIVE_INFINITY);
    if (nextMs < Number.POSITIVE_INFINITY) this.#timer = this.#parts.runtime.clock.timer(nextMs, () => this.#look());
  }

  /** What this worker gave back stands where it stood: it must see that before it takes what comes after. */
  #lookPast(revision: number): void {
    this.#ownRevision = revision;
    this.#ownRevisionUntilMs = this.#parts.runtime.clock.monotonicMs() + MIRROR_LAG_MS;
  }

  #isBehind(): boolean {
    const leftMs = this.#ownRevisionUntilMs - this.#parts.runtime.clock.monotonicMs();
    if (leftMs <= 0 || (this.#mirror?.revision ?? 0) >= this.#ownRevision) return false;
    this.#timer = this.#parts.runtime.clock.timer(leftMs, () => this.#look());
    return true;
  }

  #choose(lease: Lease): Choice {
    const { clock, random } = this.#parts.runtime;
    const nowMs = clock.monotonicMs();
    const wallMs = clock.wallMs();
    this.#view.release(wallMs, nowMs);
    const isTaken = ({ id }: QueuedJob) => this.#claiming.has(id) || this.#inHand.has(id);
    return chooseJob({ view: this.#view, own: lease.id, isTaken, nowMs, wallMs, graceMs: this.#graceMs, random });
  }

  /** Claims a job for the first who waits, or makes a dead letter of it. */
  async #take(job: QueuedJob, lease: Lease): Promise<void> {
    this.#claiming.add(job.id);
    let avoidMs = MIRROR_LAG_MS;
    try {
      if (job.content.attempt >= this.#parts.maxAttempts) await this.#bury(job, lease);
      else await this.#claim(job, lease);
    } catch (error) {
      if (error instanceof RequestRefusedError) {
        // As large as etcd takes, and with a claim larger: no worker can have it, and those behind it must not wait.
        avoidMs = Number.POSITIVE_INFINITY;
        this.#warn(error);
      } else this.#stumbled(error, lease);
    } finally {
      job.avoidUntilMs = this.#parts.runtime.clock.monotonicMs() + avoidMs;
      this.#claiming.delete(job.id);
      this.#drawGrace();
      this.#look();
    }
  }

  async #bury(job: QueuedJob, lease: Lease): Promise<void> {
    const { value, attempt } = job.content;
    const letter = { value, attempts: attempt, diedAtMs: this.#parts.runtime.clock.wallMs() };
    if (await buryJob(this.#parts.keys, job, letter, this.#writes(lease))) {
      this.#parts.onDead(toLetter(job.id, letter));
    }
  }

  async #claim(job: QueuedJob, lease: Lease): Promise<void> {
    // One of several claims at a time takes the place away.
    const leaves = this.#place.isTaken && !this.#leaving;
    if (leaves) this.#leaving = true;
    const options = { ...this.#writes(lease), etcd: this.#batch };
    const claim = await claimJob(this.#parts.keys, job, lease, leaves, options).finally(() => {
      if (leaves) this.#leaving = false;
    });
    if (!claim || lease.signal.aborted || this.#ending.signal.aborted) return;
    if (leaves) this.#place.leftAt(claim.revision);
    const [waiter] = this.#waiters;
    if (!waiter) {
      // Whoever asked has gone meanwhile.
      await undoClaim(this.#parts.keys, job.id, claim.revision, claim.content, this.#writes(lease));
      return;
    }
    this.#waiters.delete(waiter);
    waiter.off();
    waiter.job.resolve(this.#inHand.hold(claim, lease, waiter.visibilityMs));
  }

  #leaseLost(lease: Lease): void {
    this.#inHand.lose((job) => job.lease === lease, "its lease is lost", lease.signal.reason);
    if (!this.#ending.signal.aborted) this.#warn(asError(lease.signal.reason));
    this.#look();
  }

  #follow(): void {
    if (this.#mirror) return;
    try {
      this.#mirror = this.#parts.etcd.mirror(this.#parts.keys.all, {
        onStatus: (status, error) => {
          if (status === "failed") this.#fail(error ?? new ClientClosedError("the client was closed"));
          else if (error && status !== "closed") this.#warn(error);
        },
      });
      void this.#read(this.#mirror);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #read(mirror: Mirror): Promise<void> {
    const { clock } = this.#parts.runtime;
    try {
      for await (const batch of mirror) {
        this.#view.apply(batch, clock.monotonicMs());
        this.#look();
      }
    } catch (error) {
      // Of a mirror that failed onStatus has told already.
      this.#fail(error);
    }
  }

  #sawClaim(id: string, claim: KeyValue): void {
    if (claim.lease !== this.#lease.current?.id || this.#inHand.has(id) || this.#claiming.has(id)) return;
    // A claim that nobody here knows of: one that was given up, and landed late. Or one whose end the mirror tells soon.
    this.#sweepSoon();
  }

  #sweepSoon(): void {
    this.#sweep ??= this.#parts.runtime.clock.timer(MIRROR_LAG_MS, () => void this.#sweepUp());
  }

  /** Without this a job whose claim landed late would be held by nobody, as long as this worker lives. */
  async #sweepUp(): Promise<void> {
    this.#sweep = undefined;
    const lease = this.#lease.current;
    if (!lease || this.#ending.signal.aborted) return;
    try {
      for (const [id, claim] of this.#view.claimsOf(lease.id)) {
        if (this.#inHand.has(id) || this.#claiming.has(id)) continue;
        const job = this.#view.job(id);
        const content = job?.kv.modRevision === claim.createRevision ? job.content : undefined;
        await undoClaim(this.#parts.keys, id, claim.createRevision, content, this.#writes(lease));
      }
      if (this.#waiters.size === 0 && this.#view.waiting.includes(lease.id)) {
        await leavePlace(this.#parts.keys, lease.id, this.#writes(lease));
      }
    } catch (error) {
      this.#stumbled(error, lease);
    }
  }

  /** Of writes on this lease: they make no sense when it is over. */
  #writes(lease: Lease): PersistentTxnOptions {
    return {
      etcd: this.#parts.etcd,
      runtime: this.#parts.runtime,
      leftMs: () => lease.remainingMs(),
      signal: this.#ending.signal,
      onRetry: (error) => this.#warn(error),
    };
  }

  #stumbled(error: unknown, lease?: Lease): void {
    if (this.#ending.signal.aborted) return;
    if (error instanceof LeaseNotFoundError) lease?.abandon(error);
    else if (isMendable(error)) this.#warn(asError(error));
    else this.#fail(error);
  }

  #warn(error: Error): void {
    const news = this.#lastWarning !== error.message;
    this.#lastWarning = error.message;
    debug("%s: %s", this.#parts.keys.name, error.message);
    if (news) this.#parts.onWarning(error);
  }

  #drawGrace(): void {
    this.#graceMs = GRACE_MS * (1 + this.#parts.runtime.random() / 2);
  }
}
