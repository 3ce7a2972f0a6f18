import { LinkedSignal } from "../shared/linked-signal.ts";
import type { TaskSource } from "../tasks/task-source.ts";
import { runTask, type TaskRunParts } from "./task-run.ts";

/**
 * What a leader does with its term: takes tasks as long as it lasts, some at the same time.
 *
 * @returns when `stopping` aborted and what was in hand is settled
 * @throws the reason of the term's signal when that ended first; what no retry gets over
 */
export async function dispatch(source: TaskSource, parts: TaskRunParts): Promise<void> {
  const broken = new AbortController();
  using taking = new LinkedSignal(parts.term.signal, parts.stopping, broken.signal);
  const { signal } = taking;
  const inHand = new Set<Promise<void>>();
  try {
    for (;;) {
      const taken = await source.take(signal);
      // Not before: who waits for a task must not keep the slot from one that was confirmed, or is to be tried again.
      const slot = await parts.slots.take(signal);
      const run = runTask(taken, slot, parts)
        .catch((error) => broken.abort(error))
        .finally(() => {
          slot.free();
          inHand.delete(run);
        });
      inHand.add(run);
    }
  } catch (error) {
    await Promise.all(inHand);
    broken.signal.throwIfAborted();
    parts.term.signal.throwIfAborted();
    if (!parts.stopping.aborted) throw error;
  }
}
