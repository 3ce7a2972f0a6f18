import type { KeyValue, LeaseId, MirrorBatch } from "../../src/index.ts";
import { asError } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { byDue, byOrder, type Claim, QueuedJob } from "./queued-job.ts";
import { SortedQueue } from "./sorted-queue.ts";

/** How long the mirror may take to show what came of a claim. */
export const MIRROR_LAG_MS = 1_000;

export type ClaimOutcome = "tried" | "untouched" | "hopeless";

/** What happened to keys of a queue, beside what the view itself makes of it. */
export type ViewNews =
  | { readonly type: "claimed" | "unclaimed"; readonly id: string; readonly claim: Claim }
  /** A worker's key is gone: all its jobs are free. */
  | { readonly type: "ended"; readonly worker: LeaseId }
  /** A place among those who wait is gone. */
  | { readonly type: "left"; readonly place: KeyValue }
  | { readonly type: "invalid"; readonly error: Error };

/** What a queue's mirror shows, in the shape in which a worker looks for its next job. */
export class QueueView {
  /** What has been applied; 0 before the first list. */
  revision = 0;
  readonly #keys: QueueKeys;
  readonly #jobs = new Map<string, QueuedJob>();
  /** The jobs of each worker that lives. */
  readonly #workers = new Map<LeaseId, Set<QueuedJob>>();
  readonly #waiting = new Map<LeaseId, KeyValue>();
  /** In no living worker's hands, and due as far as they were looked at. */
  readonly #ready = new SortedQueue<QueuedJob>(byOrder);
  readonly #delayed = new SortedQueue<QueuedJob>(byDue);
  /** Those that a worker of this view is claiming at this moment. */
  readonly #underClaim = new Set<QueuedJob>();
  /** Those that were tried, until when they are left alone: the mirror has not shown yet what came of it. */
  readonly #tried = new Map<QueuedJob, number>();
  #order: readonly LeaseId[] | undefined;
  #news: ViewNews[] = [];

  constructor(keys: QueueKeys) {
    this.#keys = keys;
  }

  /** Whether there was a first list. */
  get listed(): boolean {
    return this.revision > 0;
  }

  /** What happened since this was asked last. */
  takeNews(): readonly ViewNews[] {
    const news = this.#news;
    this.#news = [];
    return news;
  }

  apply({ revision, puts, deletes }: MirrorBatch, nowMs: number): void {
    this.revision = revision;
    // Jobs first: one that goes with its worker does not become ready in between.
    const beside = deletes.filter((kv) => !this.#jobDeleted(kv));
    for (const kv of beside) this.#deletedBeside(kv, nowMs);
    // Workers first: a job that comes with its worker does not look free in between.
    const jobs = puts.filter((kv) => !this.#putBeside(kv, nowMs));
    // So that a long list is only ever added to at its end.
    if (jobs.length > 1) jobs.sort((a, b) => a.createRevision - b.createRevision);
    for (const kv of jobs) this.#putJob(kv, nowMs);
  }

  /** The jobs that no living worker has, in the order of the queue; `isDue()` says whether one can be claimed now. */
  get ready(): Iterable<QueuedJob> {
    return this.#ready;
  }

  /** Whether a job among the ready ones can be claimed now: those that are delayed or unreadable leave them. */
  isDue(job: QueuedJob, wallMs: number): boolean {
    try {
      if ((job.content.notBefore ?? 0) <= wallMs) return true;
      this.#ready.delete(job);
      this.#delayed.add(job);
    } catch (error) {
      this.#ready.delete(job);
      this.#news.push({ type: "invalid", error: asError(error) });
    }
    return false;
  }

  /** A worker of this view claims it: the others leave it alone. */
  claimBegun(job: QueuedJob): void {
    this.#ready.delete(job);
    this.#underClaim.add(job);
  }

  /**
   * @param outcome `tried`: it may be tried again, should the mirror show nothing of it for a while; `untouched`: at
   *   once; `hopeless`: not as it is
   */
  claimEnded(job: QueuedJob, outcome: ClaimOutcome, nowMs: number): void {
    if (!this.#underClaim.delete(job)) return;
    if (outcome === "untouched") this.#ready.add(job);
    else if (outcome === "tried") this.#tried.set(job, nowMs + MIRROR_LAG_MS);
  }

  /** Whether this claim is over, as far as the view has come. */
  isOver(id: string, { revision }: Claim): boolean {
    return this.revision >= revision && this.#jobs.get(id)?.kv.modRevision !== revision;
  }

  /** How many jobs are left alone for now, most of them at the head of the queue. */
  get leftAlone(): number {
    return this.#underClaim.size + this.#tried.size;
  }

  /** After so long one of them may be ready again, although nothing changes. */
  leftAloneForMs(nowMs: number): number | undefined {
    for (const untilMs of this.#tried.values()) return Math.max(1, untilMs - nowMs);
    return this.#underClaim.size > 0 ? MIRROR_LAG_MS : undefined;
  }

  /** Puts the jobs whose time has come among the ready ones: those that were delayed, or left alone for a while. */
  release(wallMs: number, nowMs: number): void {
    for (const [job, untilMs] of this.#tried) {
      if (untilMs > nowMs) break;
      this.#tried.delete(job);
      this.#ready.add(job);
    }
    for (const job of this.#delayed) {
      if ((job.content.notBefore ?? 0) > wallMs) return;
      this.#delayed.delete(job);
      this.#addReady(job, nowMs);
    }
  }

  /** Milliseconds until the next delayed job is due. */
  dueInMs(wallMs: number): number | undefined {
    const next = this.#delayed.first?.content.notBefore;
    return next === undefined ? undefined : Math.max(0, next - wallMs);
  }

  /** Who waits for a job, in the order of arrival. */
  get waiting(): readonly LeaseId[] {
    this.#order ??= [...this.#waiting]
      .sort(([, a], [, b]) => a.createRevision - b.createRevision)
      .map(([lease]) => lease);
    return this.#order;
  }

  isWaiting(lease: LeaseId): boolean {
    return this.#waiting.has(lease);
  }

  /** How many workers have jobs or wait for one, `own` included. */
  workers(own: LeaseId): number {
    let count = this.#jobsOf(own) > 0 || this.#waiting.has(own) ? 0 : 1;
    for (const jobs of this.#workers.values()) if (jobs.size > 0) count++;
    for (const lease of this.#waiting.keys()) if (this.#jobsOf(lease) === 0) count++;
    return count;
  }

  /** Whether any worker has jobs or waits that is none of these. */
  hasOthers(than: Pick<ReadonlySet<LeaseId>, "has">): boolean {
    for (const [lease, jobs] of this.#workers) if (jobs.size > 0 && !than.has(lease)) return true;
    for (const lease of this.#waiting.keys()) if (!than.has(lease)) return true;
    return false;
  }

  /** The jobs that this worker has. */
  claimedBy(worker: LeaseId): readonly QueuedJob[] {
    return [...(this.#workers.get(worker) ?? [])];
  }

  #jobsOf(worker: LeaseId): number {
    return this.#workers.get(worker)?.size ?? 0;
  }

  /** @returns false for what is no job */
  #jobDeleted(kv: KeyValue): boolean {
    const read = this.#keys.read(kv.key);
    if (read?.room !== "jobs") return false;
    const seen = this.#jobs.get(read.id);
    this.#forgetJob(read.id, undefined);
    if (seen?.kv.modRevision === kv.modRevision) return true;
    // Its last state was not seen here: who had it then is to hear of it.
    const lease = new QueuedJob(read.id, kv).holder;
    if (lease) this.#news.push({ type: "unclaimed", id: read.id, claim: { lease, revision: kv.modRevision } });
    return true;
  }

  #deletedBeside(kv: KeyValue, nowMs: number): void {
    const read = this.#keys.read(kv.key);
    if (read?.room === "workers") this.#workerGone(read.id as LeaseId, nowMs);
    else if (read?.room === "waiting") {
      this.#waiting.delete(read.id as LeaseId);
      this.#order = undefined;
      this.#news.push({ type: "left", place: kv });
    }
  }

  /** @returns false for a job */
  #putBeside(kv: KeyValue, nowMs: number): boolean {
    const read = this.#keys.read(kv.key);
    if (read?.room === "jobs") return false;
    // What is not its owner's own would stand for a worker that never comes, or never goes.
    const isOwn = kv.lease === read?.id;
    const lease = read?.id as LeaseId;
    if (!read) this.#invalid(`${kv.key} is no key of the queue ${this.#keys.name}`);
    else if (read.room === "workers") {
      if (isOwn) this.#workers.set(lease, this.#workers.get(lease) ?? new Set());
      else {
        this.#invalid(`${kv.key} is not on the lease that it names: it stands for no worker`);
        this.#workerGone(lease, nowMs);
      }
    } else if (read.room === "waiting") {
      if (isOwn) this.#waiting.set(lease, kv);
      else this.#waiting.delete(lease);
      this.#order = undefined;
    }
    return true;
  }

  #workerGone(worker: LeaseId, nowMs: number): void {
    for (const job of this.claimedBy(worker)) {
      job.claim = undefined;
      this.#addReady(job, nowMs);
    }
    this.#workers.delete(worker);
    // Also of one that came and went within a step.
    this.#news.push({ type: "ended", worker });
  }

  #invalid(message: string): void {
    this.#news.push({ type: "invalid", error: new InvalidValueError(message) });
  }

  #putJob(kv: KeyValue, nowMs: number): void {
    const id = this.#keys.read(kv.key)?.id as string;
    const job = new QueuedJob(id, kv);
    const { holder } = job;
    this.#forgetJob(id, holder && { lease: holder, revision: kv.modRevision });
    this.#jobs.set(id, job);
    const jobs = holder && this.#workers.get(holder);
    if (!jobs) {
      this.#addReady(job, nowMs);
      return;
    }
    jobs.add(job);
    job.claim = { lease: holder, revision: kv.modRevision };
    this.#news.push({ type: "claimed", id, claim: job.claim });
  }

  #addReady(job: QueuedJob, nowMs: number): void {
    job.readySinceMs = nowMs;
    this.#ready.add(job);
  }

  /** @param next the claim by which it is there again */
  #forgetJob(id: string, next: Claim | undefined): void {
    const job = this.#jobs.get(id);
    if (!job) return;
    this.#jobs.delete(id);
    this.#ready.delete(job);
    this.#delayed.delete(job);
    this.#underClaim.delete(job);
    this.#tried.delete(job);
    const { claim } = job;
    if (!claim) return;
    this.#workers.get(claim.lease)?.delete(job);
    if (claim.revision !== next?.revision || claim.lease !== next.lease)
      this.#news.push({ type: "unclaimed", id, claim });
  }
}
