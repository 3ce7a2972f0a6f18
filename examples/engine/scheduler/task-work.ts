import { type Confirmation, InvalidOptionError, InvalidValueError, type SubscribeService } from "etcd-recipes";
import type { Log } from "../shared/events.ts";
import { LinkedSignal } from "../shared/linked-signal.ts";
import type { PipelineSignals } from "../shared/pipeline-signals.ts";
import { pause } from "../shared/retry.ts";
import { longestReason, type Task, type TaskResult } from "../tasks/task.ts";
import { callMaster, NotBegunError } from "./call-master.ts";
import type { Slot } from "./slots.ts";
import type { Progress, TaskProgress } from "./task-progress.ts";

const firstRetryDelayMs = 200;
const longestRetryDelayMs = 10_000;

export interface TaskWorkParts {
  readonly task: Task;
  readonly progress: TaskProgress;
  readonly slot: Slot;
  readonly services: SubscribeService;
  readonly pipelines: PipelineSignals;
  readonly confirmation: Confirmation;
  readonly maxFailures: number;
  readonly attempts: number;
  readonly taskTimeoutMs: number;
  /** Aborts when the task is not ours any more. */
  readonly ended: AbortSignal;
  /** Aborts then, and when nothing new is to be begun. */
  readonly patience: AbortSignal;
  readonly log: Log;
}

/** `unreached`: no master has begun it. */
type Attempt = TaskResult | { readonly state: "unreached"; readonly reason: string };

type Outcome = Pick<Progress, "state" | "failures" | "by" | "reason">;

/**
 * What a leader does about a task until its state is final:
 *
 * ```
 *   confirming ──rejected, out of time─▶ cancelled      any ──pipeline cancelled─▶ cancelled
 *       │ approved, or not asked
 *       ▼
 *   running ──a master did it─▶ done
 *    │   ▲ └──failed too often─▶ dead                   any ──cannot be done─▶ dead
 *    ▼   │
 *   retrying
 * ```
 *
 * It holds a slot while a master has the task, not while it waits for a confirmation or for the next attempt: so no
 * other task waits for it. It stays in the leader's hand meanwhile, which costs some memory and no lease; if the leader
 * dies, the next one asks for the same confirmation, by its id, and gets the same decision.
 */
export class TaskWork {
  readonly #parts: TaskWorkParts;
  #failures = 0;

  constructor(parts: TaskWorkParts) {
    this.#parts = parts;
  }

  /**
   * @param failures how often it has failed before
   * @returns the final state, as it stands in etcd
   * @throws FencedOutError, when another scheduler leads; the reason of `patience`
   */
  async finish(failures: number): Promise<Pick<Progress, "state" | "reason">> {
    this.#failures = failures;
    return this.#write(
      await this.#outcome().catch((error): Outcome => {
        if (!isOfTheTask(error)) throw error;
        return { state: "dead", failures: this.#failures, reason: error.message };
      }),
    );
  }

  async #outcome(): Promise<Outcome> {
    const { task, pipelines, ended } = this.#parts;
    using pipeline = pipelines.follow(task.pipelineId);
    using over = new LinkedSignal(pipeline.signal, ended);
    try {
      return await this.#work(over.signal);
    } catch (error) {
      if (!pipeline.signal.aborted || ended.aborted) throw error;
      return this.#cancelled((pipeline.signal.reason as Error).message);
    }
  }

  /** @param over aborts when it is not ours any more, or cancelled */
  async #work(over: AbortSignal): Promise<Outcome> {
    const { task, slot, maxFailures } = this.#parts;
    using patience = new LinkedSignal(over, this.#parts.patience);
    const { signal } = patience;
    over.throwIfAborted();
    if (task.confirmWithinSeconds !== undefined) {
      const { decision, reason } = await this.#confirm(task.confirmWithinSeconds, signal);
      if (decision !== "approved") return this.#cancelled(reason ? `${decision}: ${reason}` : decision);
    }
    for (let retries = this.#failures; ; retries++) {
      await this.#write({ state: "running", failures: this.#failures });
      const result = await this.#call(over);
      if (result.state === "done") return { state: "done", failures: this.#failures, by: result.by };
      if (result.state === "cancelled") return this.#cancelled(result.reason);
      const { reason } = result;
      if (result.state === "failed" && ++this.#failures >= maxFailures) {
        return { state: "dead", failures: this.#failures, reason };
      }
      await this.#write({ state: "retrying", failures: this.#failures, reason });
      const delayMs = Math.min(firstRetryDelayMs * 2 ** retries, longestRetryDelayMs);
      await slot.lendDuring(signal, () => pause(delayMs, signal));
    }
  }

  async #confirm(timeoutSeconds: number, signal: AbortSignal) {
    const { task, slot, confirmation } = this.#parts;
    await this.#write({ state: "confirming", failures: this.#failures });
    return slot.lendDuring(signal, () => confirmation.request(task.id, { timeoutSeconds, signal }));
  }

  /**
   * That each master failed is a failure like others: a task that ends every master must not go on for ever. That none
   * could be reached is not: it would make dead letters of all tasks while masters are away.
   *
   * @throws what ended the list of masters, a missing permission for instance: that says nothing about the task
   */
  async #call(signal: AbortSignal): Promise<Attempt> {
    const { services, task, attempts, taskTimeoutMs } = this.#parts;
    try {
      return await callMaster(services, task, { attempts, timeoutMs: taskTimeoutMs, signal });
    } catch (error) {
      signal.throwIfAborted();
      if (services.status === "failed") throw error;
      return { state: error instanceof NotBegunError ? "unreached" : "failed", reason: (error as Error).message };
    }
  }

  #cancelled(reason: string): Outcome {
    return { state: "cancelled", failures: this.#failures, reason };
  }

  async #write({ reason, ...outcome }: Outcome): Promise<Progress> {
    const { task, progress, log } = this.#parts;
    const { state, ...details } = {
      ...outcome,
      ...(reason !== undefined && { reason: reason.slice(0, longestReason) }),
    };
    const written = await progress.write({ state, ...details, pipelineId: task.pipelineId });
    log(`task-${state}`, { task: task.id, pipeline: task.pipelineId, ...details });
    return written;
  }
}

/**
 * Each leader would fail with it: what the library refuses to be asked for, a value in etcd that cannot be read. Both
 * are about this task alone, and must not end one leader after the other.
 */
function isOfTheTask(error: unknown): error is Error {
  return error instanceof InvalidOptionError || error instanceof InvalidValueError;
}
