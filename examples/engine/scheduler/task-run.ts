import { type Confirmation, FencedOutError, type SubscribeService, type Term } from "etcd-recipes";
import type { DetachedLease } from "../shared/detached-lease.ts";
import type { Log } from "../shared/events.ts";
import { LinkedSignal } from "../shared/linked-signal.ts";
import type { PipelineSignals } from "../shared/pipeline-signals.ts";
import { MalformedTaskError, parseTask, type Task } from "../tasks/task.ts";
import type { Taken } from "../tasks/task-source.ts";
import type { Slot, Slots } from "./slots.ts";
import { isFinal, TaskProgress } from "./task-progress.ts";
import { TaskWork } from "./task-work.ts";

/** What all tasks of a term share. */
export interface TaskRunParts {
  readonly term: Term;
  readonly services: SubscribeService;
  readonly pipelines: PipelineSignals;
  readonly confirmation: Confirmation;
  readonly recordLease: DetachedLease;
  readonly slots: Slots;
  /** How often a task may fail before it is a dead letter. */
  readonly maxFailures: number;
  /** How many masters are tried before that counts as a failure. */
  readonly attempts: number;
  readonly taskTimeoutMs: number;
  /** Aborts when nothing new is to be begun. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}

/**
 * One task in the hand of a leader, from when it was taken until it is acknowledged.
 *
 * First its state is written, under the term, then the source forgets it. So who takes a task again, after a leader
 * that died in between, finds in its progress that it is over, and only acknowledges it. When the term ends before the
 * task does, the call to the master is broken off, nothing is acknowledged, and the next leader begins with the task
 * anew.
 *
 * @param slot the one that it was taken with
 * @returns when it is acknowledged, or not ours any more
 * @throws what no retry gets over, a missing permission for instance
 */
export async function runTask(taken: Taken, slot: Slot, parts: TaskRunParts): Promise<void> {
  const { term, stopping, log } = parts;
  using ended = new LinkedSignal(term.signal, taken.signal);
  using patience = new LinkedSignal(ended.signal, stopping);
  try {
    const task = parsed(taken.value);
    if (task instanceof MalformedTaskError) {
      await taken.deadLetter(task.message, ended.signal);
      log("malformed", { entry: taken.id, reason: task.message });
      return;
    }
    const progress = new TaskProgress(task.id, term, parts.recordLease);
    const known = await progress.read();
    if (known && isFinal(known)) log("task-known", { task: task.id, state: known.state });
    const work = new TaskWork({ ...parts, task, progress, slot, ended: ended.signal, patience: patience.signal });
    const { state, reason = "" } = known && isFinal(known) ? known : await work.finish(known?.failures ?? 0);
    if (state === "dead") await taken.deadLetter(reason, ended.signal);
    else await taken.ack(ended.signal);
  } catch (error) {
    if (error instanceof FencedOutError) log("refused", { entry: taken.id, token: term.token, reason: error.message });
    else if (!patience.signal.aborted) throw error;
  }
}

function parsed(text: string): Task | MalformedTaskError {
  try {
    return parseTask(text);
  } catch (error) {
    if (error instanceof MalformedTaskError) return error;
    throw error;
  }
}
