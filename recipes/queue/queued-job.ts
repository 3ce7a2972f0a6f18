import type { KeyValue, LeaseId } from "../../src/index.ts";
import { holderOf, type JobContent, readJob } from "./job-content.ts";

/** A worker's hold on a job, in etcd. */
export interface Claim {
  readonly lease: LeaseId;
  /** At which the job's key was put by it. */
  readonly revision: number;
}

/** One state of a job as the mirror has it; a job that is put again is another one. */
export class QueuedJob {
  readonly id: string;
  readonly kv: KeyValue;
  /**
   * The claim by which a living worker has it: as the mirror shows it, or as the answer to the claim said, which can be
   * here before.
   */
  claim: Claim | undefined;
  /** Since when it can be claimed, on the monotonic clock. */
  readySinceMs = 0;
  #content: JobContent | undefined;

  constructor(id: string, kv: KeyValue) {
    this.id = id;
    this.kv = kv;
  }

  /**
   * Read when it is first asked for: most jobs of a long queue are never looked at by this worker.
   *
   * @throws InvalidValueError
   */
  get content(): JobContent {
    this.#content ??= readJob(this.kv);
    return this.#content;
  }

  /** Who claimed it last, and has not given it back. What was put only once was never claimed, and is not read. */
  get holder(): LeaseId | undefined {
    return this.kv.version > 1 ? holderOf(this.kv) : undefined;
  }
}

/** The order of the queue. In one revision there are only jobs of one producer, whose keys count up. */
export function byOrder(a: QueuedJob, b: QueuedJob): number {
  return a.kv.createRevision - b.kv.createRevision || Number(a.kv.key > b.kv.key) - Number(a.kv.key < b.kv.key);
}

export function byDue(a: QueuedJob, b: QueuedJob): number {
  return (a.content.notBefore ?? 0) - (b.content.notBefore ?? 0) || byOrder(a, b);
}
