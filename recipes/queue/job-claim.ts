import {
  compareCreateRevision,
  compareModRevision,
  deleteOp,
  getOp,
  type KeyValue,
  keyMissing,
  type Lease,
  type LeaseId,
  type Op,
  type OpResult,
  putOp,
  txnOp,
} from "../../src/index.ts";
import { type TxnUntilKnownOptions, txnUntilKnown } from "../writes/index.ts";
import { type JobContent, type LetterContent, writeJob, writeLetter } from "./job-content.ts";
import type { QueueKeys } from "./queue-keys.ts";
import type { QueuedJob } from "./queued-job.ts";

/** What proves that a job is a worker's: the claim with this createRevision. */
export interface JobClaim {
  readonly id: string;
  /** The claim's createRevision, and the job's modRevision: both were put by one txn. */
  readonly revision: number;
  /** The job's: one with the same id that came later is another job. */
  readonly jobCreateRevision: number;
  /** As it stands under the job's key now. */
  readonly content: JobContent;
  readonly jobKey: Uint8Array;
  readonly claimKey: Uint8Array;
}

/**
 * Claims a job as it is known: the claim on the worker's lease, and the attempt in the job's own key, which outlives
 * the worker. Every claim changes the job's modRevision, so a late one finds it changed and does nothing.
 *
 * @param leavePlace takes the worker out of those who wait, in the same step
 * @returns the claim, or undefined when the job is not as it was known
 */
export async function claimJob(
  keys: QueueKeys,
  job: QueuedJob,
  lease: Lease,
  leavePlace: boolean,
  options: TxnUntilKnownOptions,
): Promise<JobClaim | undefined> {
  const { id, kv } = job;
  // Each is named several times, also when the claim ends.
  const jobKey = kv.keyBytes;
  const claimKey = Buffer.from(keys.claim(id));
  const content = { ...job.content, attempt: job.content.attempt + 1, notBefore: undefined };
  const success: Op[] = [putOp(claimKey, "", { lease }), putOp(jobKey, writeJob(content))];
  if (leavePlace) success.push(deleteOp(keys.waiting(lease.id)));
  const { succeeded, revision, responses } = await txnUntilKnown(
    {
      compare: [compareModRevision(jobKey, "equal", kv.modRevision), keyMissing(claimKey)],
      success,
      ifUnsure: () => [getOp(claimKey), getOp(jobKey)],
    },
    options,
  );
  const claim = { id, jobCreateRevision: kv.createRevision, content, jobKey, claimKey };
  if (succeeded) return { ...claim, revision };
  const [held, now] = responses.map(onlyKey);
  // An attempt whose answer was lost did it.
  const isOurs = held?.lease === lease.id && held.createRevision === now?.modRevision;
  return isOurs ? { ...claim, revision: held.createRevision } : undefined;
}

/**
 * Makes a dead letter of a job as it is known, if no worker has claimed it.
 *
 * @returns whether this call did it
 */
export async function buryJob(
  keys: QueueKeys,
  { id, kv }: QueuedJob,
  letter: LetterContent,
  options: TxnUntilKnownOptions,
): Promise<boolean> {
  const text = writeLetter(letter);
  const { succeeded, unsure, responses } = await txnUntilKnown(
    {
      compare: [compareModRevision(keys.job(id), "equal", kv.modRevision), keyMissing(keys.claim(id))],
      success: [deleteOp(keys.job(id)), putOp(keys.letter(id), text)],
      ifUnsure: () => [getOp(keys.letter(id))],
    },
    options,
  );
  // An attempt whose answer was lost may have done it, or another worker, at another time.
  return succeeded || (unsure && responses.some((response) => onlyKey(response)?.text === text));
}

/** How a claimed job ends. */
export type Settling =
  | { readonly type: "ack" }
  | { readonly type: "release"; readonly content: JobContent }
  | { readonly type: "bury"; readonly letter: LetterContent };

/**
 * Ends a claim in the given way, if it is still the same one.
 *
 * @returns the revision at which it was done, or 0 if nothing shows that, see `shownBy()`; undefined when the claim is
 *   not ours any more
 */
export async function settleClaim(
  keys: QueueKeys,
  { id, revision, jobCreateRevision, jobKey, claimKey }: JobClaim,
  settling: Settling,
  options: TxnUntilKnownOptions,
): Promise<number | undefined> {
  const {
    succeeded,
    revision: now,
    responses,
    unsure,
  } = await txnUntilKnown(
    {
      compare: [compareCreateRevision(claimKey, "equal", revision)],
      // A job with this id added after ours was deleted by hand is another one, and not taken yet.
      success: [
        deleteOp(claimKey),
        txnOp({
          compare: [compareCreateRevision(jobKey, "equal", jobCreateRevision)],
          success: changesOf(jobKey, keys.letter(id), settling),
        }),
      ],
      ifUnsure: () => [getOp(claimKey), getOp(jobKey)],
    },
    options,
  );
  if (succeeded) {
    const [, changes] = responses;
    const done = changes?.type === "txn" && changes.succeeded;
    // Of a job that is gone there is nothing to acknowledge or to give back, and nothing to bury.
    return done || settling.type !== "bury" ? now : undefined;
  }
  if (!unsure) return undefined;
  // An earlier attempt may have done it.
  const [claim, job] = responses.map(onlyKey);
  const done =
    settling.type === "release" ? claim?.createRevision !== revision : job?.createRevision !== jobCreateRevision;
  return done ? shownBy(job) : undefined;
}

/**
 * Gives back a job that was claimed and never handed out: that was no attempt.
 *
 * @returns the revision at which it was done, or 0 if nothing shows that, see `shownBy()`
 */
export async function undoClaim(
  keys: QueueKeys,
  id: string,
  revision: number,
  content: JobContent | undefined,
  options: TxnUntilKnownOptions,
): Promise<number> {
  const before = content && writeJob({ ...content, attempt: Math.max(0, content.attempt - 1) });
  const restore = txnOp({
    compare: [compareModRevision(keys.job(id), "equal", revision)],
    success: before === undefined ? [] : [putOp(keys.job(id), before)],
  });
  const undone = await txnUntilKnown(
    {
      compare: [compareCreateRevision(keys.claim(id), "equal", revision)],
      success: [restore, deleteOp(keys.claim(id))],
      ifUnsure: () => [getOp(keys.job(id))],
    },
    options,
  );
  return undone.succeeded ? undone.revision : shownBy(undone.responses.map(onlyKey)[0]);
}

/** The place among those who wait; it dies with the lease. */
export async function takePlace(keys: QueueKeys, lease: Lease, options: TxnUntilKnownOptions): Promise<number> {
  return (await txnUntilKnown({ success: [putOp(keys.waiting(lease.id), "", { lease })] }, options)).revision;
}

export async function leavePlace(keys: QueueKeys, lease: LeaseId, options: TxnUntilKnownOptions): Promise<number> {
  return (await txnUntilKnown({ success: [deleteOp(keys.waiting(lease))] }, options)).revision;
}

function changesOf(jobKey: Uint8Array, letterKey: string, settling: Settling): Op[] {
  switch (settling.type) {
    case "ack":
      return [deleteOp(jobKey)];
    case "release":
      // In any case, so that the job shows when that was, see `shownBy()`.
      return [putOp(jobKey, writeJob(settling.content))];
    case "bury":
      return [deleteOp(jobKey), putOp(letterKey, writeLetter(settling.letter))];
    default:
      return settling satisfies never;
  }
}

/**
 * By when an attempt whose answer was lost has changed the job, as its key shows. Not the revision of the answer that
 * found it changed: nothing of the queue may be at that one, and a worker would wait for it in vain.
 */
function shownBy(job: KeyValue | undefined): number {
  return job?.modRevision ?? 0;
}

function onlyKey(result: OpResult): KeyValue | undefined {
  return result.type === "range" ? result.kvs[0] : undefined;
}
