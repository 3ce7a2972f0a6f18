import type { KeyValue, LeaseId, MirrorBatch } from "../../src/index.ts";
import { asError } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { byDue, byOrder, QueuedJob } from "./queued-job.ts";
import { SortedQueue } from "./sorted-queue.ts";

/** How long the mirror may take to show what came of a claim. */
export const MIRROR_LAG_MS = 1_000;

/** What happened to keys of a queue, beside what the view itself makes of it. */
export type ViewNews =
  | { readonly type: "claimed"; readonly id: string; readonly claim: KeyValue }
  /** `claim` is as it was last. */
  | { readonly type: "unclaimed"; readonly id: string; readonly claim: KeyValue }
  /** A place among those who wait is gone. */
  | { readonly type: "left"; readonly place: KeyValue }
  | { readonly type: "invalid"; readonly error: Error };

/** What a queue's mirror shows, in the shape in which a worker looks for its next job. */
export class QueueView {
  /** Whether there was a first list. */
  listed = false;
  readonly #keys: QueueKeys;
  readonly #jobs = new Map<string, QueuedJob>();
  readonly #claims = new Map<string, KeyValue>();
  /** The claims of each worker. */
  readonly #workers = new Map<LeaseId, Map<string, KeyValue>>();
  readonly #waiting = new Map<LeaseId, KeyValue>();
  /** Unclaimed, and due as far as they were looked at. */
  readonly #ready = new SortedQueue<QueuedJob>(byOrder);
  readonly #delayed = new SortedQueue<QueuedJob>(byDue);
  #order: readonly LeaseId[] | undefined;
  #news: ViewNews[] = [];

  constructor(keys: QueueKeys) {
    this.#keys = keys;
  }

  /** What happened since this was asked last. */
  takeNews(): readonly ViewNews[] {
    const news = this.#news;
    this.#news = [];
    return news;
  }

  apply({ puts, deletes }: MirrorBatch, nowMs: number): void {
    this.listed = true;
    // Jobs first: one that goes with its claim does not become ready in between.
    const beside = deletes.filter((kv) => !this.#jobDeleted(kv));
    for (const kv of beside) this.#deletedBeside(kv, nowMs);
    // A claim comes with its job in one revision: claims first, and no job looks free in between.
    const jobs = puts.filter((kv) => !this.#putBeside(kv));
    // So that a long list is only ever added to at its end.
    if (jobs.length > 1) jobs.sort((a, b) => a.createRevision - b.createRevision);
    for (const kv of jobs) this.#putJob(kv, nowMs);
  }

  /** The unclaimed jobs, in the order of the queue; `isDue()` says whether one can be claimed now. */
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

  /** Puts the delayed jobs whose time has come among the ready ones. */
  release(wallMs: number, nowMs: number): void {
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

  job(id: string): QueuedJob | undefined {
    return this.#jobs.get(id);
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

  /** How many workers there are, `own` included. */
  workers(own: LeaseId): number {
    let idle = this.#workers.has(own) || this.#waiting.has(own) ? 0 : 1;
    for (const lease of this.#waiting.keys()) if (!this.#workers.has(lease)) idle++;
    return this.#workers.size + idle;
  }

  /** Whether any worker has claims or waits that is none of these. */
  hasOthers(than: Pick<ReadonlySet<LeaseId>, "has">): boolean {
    for (const lease of this.#workers.keys()) if (!than.has(lease)) return true;
    for (const lease of this.#waiting.keys()) if (!than.has(lease)) return true;
    return false;
  }

  claimsOf(lease: LeaseId): [id: string, claim: KeyValue][] {
    return [...(this.#workers.get(lease) ?? [])];
  }

  /** @returns false for what is no job */
  #jobDeleted(kv: KeyValue): boolean {
    const read = this.#keys.read(kv.key);
    if (read?.room !== "jobs") return false;
    this.#forgetJob(read.id);
    return true;
  }

  #deletedBeside(kv: KeyValue, nowMs: number): void {
    const read = this.#keys.read(kv.key);
    if (read?.room === "claims") {
      this.#forgetClaim(read.id);
      const job = this.#jobs.get(read.id);
      if (job) this.#addReady(job, nowMs);
      this.#news.push({ type: "unclaimed", id: read.id, claim: kv });
    } else if (read?.room === "waiting") {
      this.#waiting.delete(read.id as LeaseId);
      this.#order = undefined;
      this.#news.push({ type: "left", place: kv });
    }
  }

  /** @returns false for a job */
  #putBeside(kv: KeyValue): boolean {
    const read = this.#keys.read(kv.key);
    if (read?.room === "jobs") return false;
    if (!read) this.#invalid(`${kv.key} is no key of the queue ${this.#keys.name}`);
    else if (read.room === "claims") this.#putClaim(read.id, kv);
    else if (read.room === "waiting") {
      // One that is not its owner's own would stand for a worker that never comes.
      if (kv.lease === read.id) this.#waiting.set(kv.lease, kv);
      else this.#waiting.delete(read.id as LeaseId);
      this.#order = undefined;
    }
    return true;
  }

  #putClaim(id: string, kv: KeyValue): void {
    if (!kv.lease) this.#invalid(`${kv.key} is on no lease: it holds its job until it is deleted`);
    this.#forgetClaim(id);
    this.#claims.set(id, kv);
    if (kv.lease) {
      const claims = this.#workers.get(kv.lease) ?? new Map<string, KeyValue>();
      this.#workers.set(kv.lease, claims.set(id, kv));
    }
    const job = this.#jobs.get(id);
    if (job) this.#unlist(job);
    this.#news.push({ type: "claimed", id, claim: kv });
  }

  #invalid(message: string): void {
    this.#news.push({ type: "invalid", error: new InvalidValueError(message) });
  }

  #forgetClaim(id: string): void {
    const lease = this.#claims.get(id)?.lease;
    this.#claims.delete(id);
    const claims = lease && this.#workers.get(lease);
    if (!claims) return;
    claims.delete(id);
    if (claims.size === 0) this.#workers.delete(lease);
  }

  #putJob(kv: KeyValue, nowMs: number): void {
    const id = this.#keys.read(kv.key)?.id as string;
    this.#forgetJob(id);
    const job = new QueuedJob(id, kv);
    this.#jobs.set(id, job);
    if (!this.#claims.has(id)) this.#addReady(job, nowMs);
  }

  #addReady(job: QueuedJob, nowMs: number): void {
    job.readySinceMs = nowMs;
    this.#ready.add(job);
  }

  #forgetJob(id: string): void {
    const job = this.#jobs.get(id);
    if (!job) return;
    this.#jobs.delete(id);
    this.#unlist(job);
  }

  #unlist(job: QueuedJob): void {
    this.#ready.delete(job);
    this.#delayed.delete(job);
  }
}
