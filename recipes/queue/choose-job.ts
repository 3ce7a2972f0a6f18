import type { LeaseId } from "../../src/index.ts";
import type { QueueView } from "./queue-view.ts";
import type { QueuedJob } from "./queued-job.ts";

/**
 * Among so many jobs for each worker one is chosen. What the others are claiming at this moment is not in the view yet:
 * with one job for each, more than half of all claims were in vain (8 workers, measured), with four, one in nine.
 */
const CHOICE_PER_WORKER = 4;

export interface ChoiceParts {
  readonly view: QueueView;
  /** The lease of the worker that chooses. */
  readonly own: LeaseId;
  /** Whether all workers share this view: what one of them claims the others leave alone at once. */
  readonly isShared?: boolean | undefined;
  /** Whether the worker has it in hand already. */
  isTaken(job: QueuedJob): boolean;
  readonly nowMs: number;
  readonly wallMs: number;
  /** How long the one whose turn it is may take. */
  readonly graceMs: number;
  readonly random: () => number;
}

export interface Choice {
  readonly job?: QueuedJob | undefined;
  /** With no job: after so long there may be one, although nothing changes. */
  readonly lookAgainMs?: number | undefined;
}

/**
 * Chooses the job to claim next, so that workers do not all run for the same one.
 *
 * Those who wait have their turn: the first of them takes the first job, the second the second; the others leave it to
 * them for a moment, in case they are dead or frozen. Of what is left over, one among the first 4 n at random, with n
 * workers. So a worker that is alone takes the first one, always; and so do workers that share the view, one after the
 * other, when there are no others.
 */
export function chooseJob({
  view,
  own,
  isShared = false,
  isTaken,
  nowMs,
  wallMs,
  graceMs,
  random,
}: ChoiceParts): Choice {
  const waiting = isShared ? [] : view.waiting;
  const turn = waiting.indexOf(own);
  const workers = isShared ? 1 : view.workers(own);
  // What is left alone stood before the others, and in other views it may still stand there.
  let place = view.leftAlone;
  // The only one who can wait then is this worker, as long as the view does not show that it has left its place.
  let end = place + (workers === 1 ? 1 : waiting.length + workers * CHOICE_PER_WORKER);
  let lookAgainMs = view.leftAloneForMs(nowMs);
  const later = (atMs: number) => {
    lookAgainMs = Math.min(lookAgainMs ?? Number.POSITIVE_INFINITY, Math.max(1, atMs - nowMs));
  };
  const free: QueuedJob[] = [];
  for (const job of view.ready) {
    if (place >= end) break;
    if (!view.isDue(job, wallMs)) continue;
    const at = place++;
    // It is not in the view yet, but soon it is no choice for any worker.
    if (isTaken(job)) end++;
    else if (at === turn) return { job };
    else if (at >= waiting.length || job.readySinceMs + graceMs <= nowMs) free.push(job);
    else later(job.readySinceMs + graceMs);
  }
  return { job: free[Math.floor(random() * free.length)], lookAgainMs };
}
