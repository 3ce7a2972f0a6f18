import { ClientClosedError, type EtcdClient, type KeyValue, type Lease, LeaseNotFoundError } from "../../src/index.ts";
import { asError, endsRetries, log, onAbort, type Runtime, type Timer } from "../../src/internal/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import { LeaseLine } from "../leases/index.ts";
import { recipeClient } from "../recipe/index.ts";
import { retry, WarnOnce } from "../retries/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import { type Choice, chooseJob } from "./choose-job.ts";
import { ClaimsUnderWay } from "./claims-under-way.ts";
import type { Job } from "./job.ts";
import { JobsInHand } from "./jobs-in-hand.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { QueueView } from "./queue-view.ts";
import type { QueuedJob } from "./queued-job.ts";
import { ReleasedRevision } from "./released-revision.ts";
import { Strays } from "./strays.ts";
import { Waiters } from "./waiters.ts";
import { WaitingPlace } from "./waiting-place.ts";
import type { QueueNews, WorkerNews, WorkerPort } from "./worker-port.ts";

const debug = log("queue");

/** How long the one whose turn it is may take before others try; half as much again is drawn, so that they do not all try at once. */
const GRACE_MS = 250;

export interface ConsumerParts {
  readonly etcd: EtcdClient;
  readonly keys: QueueKeys;
  readonly ttlSeconds: number;
  readonly maxAttempts: number;
  readonly runtime: Runtime;
  onNews(news: QueueNews): void;
}

/**
 * The worker's side of a queue: one mirror of it, one lease for all jobs in hand. It looks for work whenever something
 * changes: the mirror, who asks for a job here, what came of a claim, a timer for what is due later.
 */
export class Consumer {
  readonly #parts: ConsumerParts;
  readonly #waiters: Waiters;
  readonly #view: QueueView;
  readonly #place: WaitingPlace;
  readonly #leases: LeaseLine;
  readonly #claiming: ClaimsUnderWay;
  readonly #inHand: JobsInHand;
  readonly #strays: Strays;
  readonly #released: ReleasedRevision;
  readonly #ending = new AbortController();
  #mirror: PrefixFollower | undefined;
  #timer: Timer | undefined;
  #granting = false;
  #graceMs = 0;
  readonly #warnings: WarnOnce;
  /** Whether the queue could be followed before: what etcd refuses later is mended there. */
  #hasWorked = false;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.#warnings = new WarnOnce((error) => parts.onNews({ type: "warning", error }));
    this.#released = new ReleasedRevision(parts.runtime.clock);
    const port: WorkerPort = {
      keys: parts.keys,
      clock: parts.runtime.clock,
      maxAttempts: parts.maxAttempts,
      writes: (lease) => this.#writes(lease),
      onNews: (news) => this.#happened(news),
    };
    const waiters = new Waiters(() => this.#look());
    const leases = new LeaseLine(parts.etcd, parts.ttlSeconds);
    const view = new QueueView(parts.keys);
    const place = new WaitingPlace(port);
    const inHand = new JobsInHand(port);
    const claiming = new ClaimsUnderWay({ port, place, waiters, inHand });
    this.#strays = new Strays({ port, view, leases, claiming, inHand, waiters });
    this.#waiters = waiters;
    this.#leases = leases;
    this.#view = view;
    this.#place = place;
    this.#inHand = inHand;
    this.#claiming = claiming;
    this.#drawGrace();
  }

  dequeue(visibilityMs: number | undefined, signal: AbortSignal | undefined): Promise<Job> {
    if (this.#ending.signal.aborted) return Promise.reject(this.#ending.signal.reason);
    const job = this.#waiters.add(visibilityMs, signal);
    this.#look();
    return job;
  }

  /** Gives everything back: who waits is told, jobs in hand are lost, the lease is revoked. Bounded by `limitMs`. */
  async close(limitMs: number): Promise<void> {
    const { clock } = this.#parts.runtime;
    this.#end(new ClientClosedError(`the queue ${this.#parts.keys.name} was closed`));
    const endMs = clock.monotonicMs() + limitMs;
    await Promise.all([this.#claiming.settled(limitMs / 2), this.#inHand.settled(limitMs / 2)]);
    this.#inHand.lose(() => true, "the queue was closed");
    try {
      await this.#leases.revokeAll({ timeoutMs: Math.max(1, endMs - clock.monotonicMs()) });
    } catch (error) {
      if (!(error instanceof ClientClosedError)) this.#parts.onNews({ type: "warning", error: asError(error) });
    }
    await this.#mirror?.close();
  }

  #end(reason: Error): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#timer?.cancel();
    this.#strays.stop();
    this.#waiters.rejectAll(reason);
  }

  /** The end: a closed client, or what etcd refuses before the queue could be followed. */
  #fail(cause: unknown): void {
    if (this.#ending.signal.aborted) return;
    const error = asError(cause);
    this.#end(error);
    void this.#mirror?.close();
    this.#inHand.lose(() => true, "the queue failed", error);
    void this.#leases.revokeAll({}).catch(() => {});
    this.#parts.onNews({ type: "failed", error });
  }

  /** Brings the calls that wait together with what is there. */
  #look(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#ending.signal.aborted) return;
    if (this.#waiters.size === 0) {
      this.#place.leave();
      // One that was taken late: it would get its turn, and let it pass.
      const own = this.#leases.current?.id;
      if (own && !this.#place.isTaken && this.#view.waiting.includes(own)) this.#strays.sweepSoon();
      return;
    }
    this.#follow();
    const lease = this.#leases.current;
    if (!lease) void this.#grantLease();
    if (!lease || !this.#view.listed) return;
    const waitMs = this.#released.waitMs(this.#mirror?.revision ?? 0);
    if (waitMs > 0) {
      this.#lookIn(waitMs);
      return;
    }
    let lookAgainMs: number | undefined;
    while (this.#claiming.size < this.#waiters.size) {
      const choice = this.#choose(lease);
      lookAgainMs = choice.lookAgainMs;
      if (!choice.job) break;
      void this.#claiming.take(choice.job, lease).then(() => {
        this.#drawGrace();
        this.#look();
      });
    }
    if (this.#claiming.size >= this.#waiters.size || this.#ending.signal.aborted) return;
    this.#place.take(lease);
    const dueMs = this.#view.dueInMs(this.#parts.runtime.clock.wallMs());
    const nextMs = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, dueMs ?? Number.POSITIVE_INFINITY);
    if (nextMs < Number.POSITIVE_INFINITY) this.#lookIn(nextMs);
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.#parts.runtime.clock.timer(delayMs, () => this.#look());
  }

  #choose(lease: Lease): Choice {
    const { clock, random } = this.#parts.runtime;
    const nowMs = clock.monotonicMs();
    const wallMs = clock.wallMs();
    this.#view.release(wallMs, nowMs);
    const isTaken = ({ id }: QueuedJob) => this.#isKnown(id);
    const graceMs = this.#graceMs;
    const choice = chooseJob({ view: this.#view, own: lease.id, isTaken, nowMs, wallMs, graceMs, random });
    this.#takeNews();
    return choice;
  }

  /** Whether this worker has the job in hand, or is about to. */
  #isKnown(id: string): boolean {
    return this.#claiming.has(id) || this.#inHand.has(id);
  }

  /** One lease for all jobs in hand, as long as somebody waits for a job: tried until there is one. */
  async #grantLease(): Promise<void> {
    if (this.#granting) return;
    this.#granting = true;
    const { runtime } = this.#parts;
    const { signal } = this.#ending;
    const attempt = async () => {
      while (!this.#leases.current && this.#waiters.size > 0) {
        const lease = await this.#leases.living(signal);
        onAbort(lease.signal, () => this.#leaseLost(lease));
      }
      return true;
    };
    const options = { runtime, signal, backoff: { initialMs: 100 }, onWarning: (error: Error) => this.#failed(error) };
    await retry(attempt, options).catch(() => {});
    this.#granting = false;
    this.#look();
  }

  #leaseLost(lease: Lease): void {
    // A client that is being closed is the end, of which the mirror tells next.
    if (this.#parts.etcd.closed) return;
    this.#inHand.lose((job) => job.lease === lease, "its lease is lost", lease.signal.reason);
    if (!this.#ending.signal.aborted) this.#warn(asError(lease.signal.reason));
    this.#look();
  }

  #follow(): void {
    const { etcd, keys } = this.#parts;
    this.#mirror ??= new PrefixFollower({
      what: "the worker",
      prefix: `${keys.name}/`,
      client: recipeClient(etcd),
      mirror: "own",
      onNews: (news) => this.#followed(news),
    });
  }

  #followed(news: FollowNews): void {
    switch (news.type) {
      case "status":
        if (news.status === "live") this.#hasWorked = true;
        break;
      case "warning":
        this.#warn(news.error);
        break;
      case "failed":
        this.#fail(news.error);
        break;
      default:
        this.#view.apply(news, this.#parts.runtime.clock.monotonicMs());
        this.#takeNews();
        this.#look();
    }
  }

  #takeNews(): void {
    for (const news of this.#view.takeNews()) {
      if (news.type === "claimed") this.#sawClaim(news.id, news.claim);
      else if (news.type === "unclaimed") this.#inHand.claimGone(news.id, news.claim);
      else if (news.type === "left") this.#place.vanished(news.place);
      else this.#warn(news.error);
    }
  }

  #sawClaim(id: string, claim: KeyValue): void {
    if (claim.lease !== this.#leases.current?.id || this.#isKnown(id)) return;
    // A claim that is unknown here: one that was given up, and landed late. Or one whose end the mirror tells soon.
    this.#strays.sweepSoon();
  }

  /** Of writes on this lease: they make no sense when it is over. */
  #writes(lease: Lease): TxnUntilKnownOptions {
    return {
      etcd: this.#parts.etcd,
      runtime: this.#parts.runtime,
      leftMs: () => lease.remainingMs(),
      signal: this.#ending.signal,
      waitsOutDenial: this.#hasWorked,
      onWarning: (error) => this.#warn(error),
    };
  }

  #happened(news: WorkerNews): void {
    switch (news.type) {
      case "released":
        this.#released.add(news.revision);
        break;
      case "dead":
        this.#parts.onNews(news);
        break;
      case "warning":
        this.#warn(news.error);
        break;
      case "failure":
        this.#failed(news.error, news.lease);
    }
  }

  #failed(error: unknown, lease?: Lease): void {
    if (this.#ending.signal.aborted) return;
    if (error instanceof LeaseNotFoundError) lease?.abandon(error);
    else if (endsRetries(error, this.#hasWorked)) this.#fail(error);
    else this.#warn(asError(error));
  }

  #warn(error: Error): void {
    debug("%s: %s", this.#parts.keys.name, error.message);
    this.#warnings.warn(error);
  }

  #drawGrace(): void {
    this.#graceMs = GRACE_MS * (1 + this.#parts.runtime.random() / 2);
  }
}
