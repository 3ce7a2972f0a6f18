import {
  compareModRevision,
  deleteOp,
  getOp,
  type KeyValue,
  keyExists,
  type Lease,
  type LeaseId,
  type Op,
  type OpResult,
  putOp,
} from "../../src/index.ts";
import { type TxnUntilKnownOptions, txnUntilKnown } from "../writes/index.ts";
import { type JobContent, type LetterContent, writeJob, writeLetter } from "./job-content.ts";
import type { QueueKeys } from "./queue-keys.ts";
import type { Claim, QueuedJob } from "./queued-job.ts";

/** What proves that a job is a worker's: that nothing has changed its key since the claim. */
export interface JobClaim extends Claim {
  readonly id: string;
  /** The job's: one with the same id that came later is another job. */
  readonly jobCreateRevision: number;
  /** As it stands under the job's key now. */
  readonly content: JobContent;
  readonly jobKey: Uint8Array;
}

export interface ClaimOptions extends TxnUntilKnownOptions {
  /** Puts the worker's key in the same step: without it the job would look free. @default false: it must be there */
  readonly announce?: boolean | undefined;
  /** Takes the worker out of those who wait, in the same step. @default false */
  readonly leavePlace?: boolean | undefined;
}

/**
 * Claims a job as it is known: puts the worker's lease and the attempt in the job's own key, which outlives the worker.
 * Every claim changes the job's modRevision, so a late one finds it changed and does nothing; one on a lease that is
 * over finds no key of the worker.
 *
 * @returns the claim; undefined when the job is not as it was known; "ended" when the worker's key is not there
 */
export async function claimJob(
  keys: QueueKeys,
  { id, kv, content: before }: QueuedJob,
  lease: Lease,
  { announce = false, leavePlace = false, ...options }: ClaimOptions,
): Promise<JobClaim | "ended" | undefined> {
  // It is named several times, also when the claim ends.
  const jobKey = kv.keyBytes;
  const content = { ...before, attempt: before.attempt + 1, holder: lease.id, notBefore: undefined };
  const text = writeJob(content);
  const isAsKnown = compareModRevision(jobKey, "equal", kv.modRevision);
  const success: Op[] = [putOp(jobKey, text)];
  if (announce) success.push(putOp(keys.worker(lease.id), "", { lease }));
  if (leavePlace) success.push(deleteOp(keys.waiting(lease.id)));
  const workerKey = keys.worker(lease.id);
  const { succeeded, revision, responses } = await txnUntilKnown(
    {
      compare: announce ? [isAsKnown] : [isAsKnown, keyExists(workerKey)],
      success,
      failure: announce ? [] : [getOp(workerKey)],
      ifUnsure: () => [getOp(workerKey), getOp(jobKey)],
    },
    options,
  );
  const claim = { id, lease: lease.id, jobCreateRevision: kv.createRevision, content, jobKey };
  if (succeeded) return { ...claim, revision };
  const [worker, now] = responses.map(onlyKey);
  // An attempt whose answer was lost did it.
  const isOurs = now?.createRevision === kv.createRevision && now.text === text;
  if (!worker && (isOurs || !announce)) return "ended";
  return isOurs ? { ...claim, revision: now.modRevision } : undefined;
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
      compare: [compareModRevision(kv.keyBytes, "equal", kv.modRevision)],
      success: [deleteOp(kv.keyBytes), putOp(keys.letter(id), text)],
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
 * Ends a claim in the given way, if it is still the same one, and its worker's key is there: of a wiped etcd that has a
 * job of this id at the same revision it is not.
 *
 * @returns the revision at which it was done, or 0 if nothing shows that, see `shownBy()`; undefined when the job is
 *   not ours any more
 */
export async function settleClaim(
  keys: QueueKeys,
  { id, lease, revision, jobCreateRevision, jobKey }: JobClaim,
  settling: Settling,
  options: TxnUntilKnownOptions,
): Promise<number | undefined> {
  const settled = await txnUntilKnown(
    {
      compare: [compareModRevision(jobKey, "equal", revision), keyExists(keys.worker(lease))],
      success: changesOf(jobKey, keys.letter(id), settling),
      ifUnsure: () => [getOp(jobKey)],
    },
    options,
  );
  if (settled.succeeded) return settled.revision;
  if (!settled.unsure) return undefined;
  // An earlier attempt may have done it.
  const [job] = settled.responses.map(onlyKey);
  const done = settling.type === "release" ? job?.modRevision !== revision : job?.createRevision !== jobCreateRevision;
  return done ? shownBy(job) : undefined;
}

/** As a job was before a claim that was never handed out: that was no attempt. */
export function beforeClaim(content: JobContent): JobContent {
  return { ...content, attempt: Math.max(0, content.attempt - 1) };
}

/**
 * Gives back a job that this worker has in etcd, and not in hand.
 *
 * @param content as it is to be, beside its holder
 * @returns the revision at which it was done, or 0 if nothing shows that, see `shownBy()`
 */
export async function giveBack(
  keys: QueueKeys,
  id: string,
  { lease, revision }: Claim,
  content: JobContent,
  options: TxnUntilKnownOptions,
): Promise<number> {
  const undone = await txnUntilKnown(
    {
      compare: [compareModRevision(keys.job(id), "equal", revision), keyExists(keys.worker(lease))],
      success: [putOp(keys.job(id), writeJob({ ...content, holder: undefined }))],
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
