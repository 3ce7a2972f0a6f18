import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../shared/events.ts";
import { LinkedSignal } from "../shared/linked-signal.ts";
import type { PipelineSignals } from "../shared/pipeline-signals.ts";
import { pause } from "../shared/retry.ts";
import type { Task, TaskResult } from "../tasks/task.ts";
import type { Caches } from "./caches.ts";
import { Results } from "./results.ts";
import { SharedRun } from "./shared-run.ts";

export interface TaskRunnerParts {
  readonly id: string;
  /** Gets a line for each task that was done here. */
  readonly doneLog: string;
  readonly caches: Caches;
  readonly pipelines: PipelineSignals;
  readonly log: Log;
}

/**
 * Does tasks, each once for its id: who asks for one that runs waits for the same run, and one that was done is
 * answered from what is known. A task stops when its pipeline is cancelled, or when no call waits for it any more: the
 * scheduler that asked is gone, and the next one will ask again.
 */
export class TaskRunner {
  readonly counts = { done: 0, repeated: 0, twice: 0, failed: 0, stopped: 0 };
  readonly #parts: TaskRunnerParts;
  readonly #results = new Results();
  readonly #running = new Map<string, SharedRun<TaskResult>>();
  readonly #idle = new Set<() => void>();
  #callers = 0;

  constructor(parts: TaskRunnerParts) {
    this.#parts = parts;
  }

  /** The ids of the tasks in hand. */
  get running(): string[] {
    return [...this.#running.keys()];
  }

  /** How many wait for one of them. */
  get callers(): number {
    return this.#callers;
  }

  async run(task: Task, caller: AbortSignal): Promise<TaskResult> {
    const running = this.#running.get(task.id);
    const run = running && !running.isAbandoned ? running : this.#start(task, running);
    this.#callers++;
    try {
      return await run.join(caller);
    } finally {
      this.#callers--;
    }
  }

  /** Resolves when nothing is in hand. */
  async untilIdle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  /** @param before a run that no call waits for any more: it may have come so far that it is done after all */
  #start(task: Task, before: SharedRun<TaskResult> | undefined): SharedRun<TaskResult> {
    const run = new SharedRun(async (abandoned) => {
      await before?.result.catch(() => {});
      return this.#do(task, abandoned);
    });
    this.#running.set(task.id, run);
    const over = () => {
      if (this.#running.get(task.id) === run) this.#running.delete(task.id);
      if (this.#running.size === 0) for (const resolve of this.#idle) resolve();
    };
    run.result.then(over, over);
    return run;
  }

  async #do(task: Task, abandoned: AbortSignal): Promise<TaskResult> {
    const { id: by, log } = this.#parts;
    if (await this.#results.isDone(task.id)) {
      this.counts.repeated++;
      log("task-repeated", { task: task.id });
      return { state: "done", by, repeated: true };
    }
    using pipeline = this.#parts.pipelines.follow(task.pipelineId);
    using over = new LinkedSignal(pipeline.signal, abandoned);
    log("task-started", { task: task.id, pipeline: task.pipelineId });
    try {
      await this.#work(task, over.signal);
    } catch (error) {
      if (!over.signal.aborted) throw error;
      const { message: reason } = over.signal.reason as Error;
      this.counts.stopped++;
      log("task-stopped", { task: task.id, reason });
      if (pipeline.signal.aborted) return { state: "cancelled", reason };
      throw error;
    }
    if (task.failsWith !== undefined) {
      this.counts.failed++;
      log("task-failed", { task: task.id, reason: task.failsWith });
      return { state: "failed", reason: task.failsWith };
    }
    await this.#done(task);
    return { state: "done", by };
  }

  /** A real master would build here. */
  async #work({ id, project, durationMs }: Task, signal: AbortSignal): Promise<void> {
    const { folder, isNew } = await this.#parts.caches.use(project);
    if (isNew) this.#parts.log("cache-built", { project });
    await pause(durationMs, signal);
    await writeFile(join(folder, "last-task"), id);
    signal.throwIfAborted();
  }

  /** From here on it is done, and cannot be called off: first the effect, then the record in etcd. */
  async #done({ id }: Task): Promise<void> {
    const { id: by, doneLog, log } = this.#parts;
    await appendFile(doneLog, `${id}\n`);
    const first = await this.#results.record(id, by).catch((error: Error) => {
      log("warning", { task: id, reason: `other masters do not know that it is done: ${error.message}` });
      return true;
    });
    this.counts.done++;
    if (!first) this.counts.twice++;
    log(first ? "task-done" : "task-done-twice", { task: id });
  }
}
