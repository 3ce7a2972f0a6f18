import type { KeyValue } from "../../src/index.ts";
import { type JobContent, readJob } from "./job-content.ts";

/** One state of a job as the mirror has it; a job that is put again is another one. */
export class QueuedJob {
  readonly id: string;
  readonly kv: KeyValue;
  /** Since when it can be claimed, on the monotonic clock. */
  readySinceMs = 0;
  /** A worker that shares the view is claiming it at this moment. */
  isUnderClaim = false;
  /** Until then it is left alone: it was tried, and the mirror has not shown yet what came of it. */
  avoidUntilMs = 0;
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
}

/** The order of the queue. In one revision there are only jobs of one producer, whose keys count up. */
export function byOrder(a: QueuedJob, b: QueuedJob): number {
  return a.kv.createRevision - b.kv.createRevision || Number(a.kv.key > b.kv.key) - Number(a.kv.key < b.kv.key);
}

export function byDue(a: QueuedJob, b: QueuedJob): number {
  return (a.content.notBefore ?? 0) - (b.content.notBefore ?? 0) || byOrder(a, b);
}
