import { pause } from "../engine/shared/retry.ts";
import { openSource } from "../engine/tasks/open-source.ts";
import type { Task } from "../engine/tasks/task.ts";
import type { TaskSource } from "../engine/tasks/task-source.ts";
import { printable } from "../printable.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";

const everyMs = 900;
const mostOpen = 40;
const stopLimitMs = 5_000;

/** A task without what it gets from its pipeline. */
export type Step = Pick<Task, "project" | "durationMs" | "confirmWithinSeconds">;

/** Submits pipelines: a small one again and again, and what an act asks for. */
export class Workload implements AsyncDisposable {
  readonly #source: TaskSource;
  readonly #ledger: Ledger;
  readonly #closing = new AbortController();
  readonly #givingUp = new AbortController();
  /** An etcd that it did not start may know tasks of an earlier demo. */
  readonly #run = `demo-${Date.now().toString(36)}`;
  #pipelines = 0;
  #running: Promise<void> | undefined;

  constructor(redis: string | undefined, ledger: Ledger, journal: Journal) {
    this.#ledger = ledger;
    this.#source = openSource({ redis, consumer: "demo", ttlSeconds: 10 }, (event, { reason } = {}) => {
      journal.log("demo", printable(`tasks: ${event} ${String(reason ?? "")}`));
    });
  }

  /** Resolves with the ids of the pipeline and of its tasks, when all of them are queued. */
  async submit(steps: readonly Step[], signal: AbortSignal): Promise<{ pipelineId: string; ids: string[] }> {
    const pipelineId = `${this.#run}-${++this.#pipelines}`;
    const tasks = steps.map((step, index): Task => ({ ...step, id: `${pipelineId}/${index + 1}`, pipelineId }));
    for (const { id } of tasks) this.#ledger.expect(id);
    await this.#source.submit(tasks, signal);
    return { pipelineId, ids: tasks.map(({ id }) => id) };
  }

  /** Begins with the small pipelines. */
  start(): void {
    const { signal } = this.#closing;
    this.#running = this.#flow(signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
    // stop() throws it, which every path comes to.
    this.#running.catch(() => {});
  }

  /** No new ones; what was begun to be submitted is submitted first, unless the source stays away. */
  async stop(): Promise<void> {
    this.#closing.abort(new Error("the workload ends"));
    const limit = setTimeout(() => this.#givingUp.abort(), stopLimitMs);
    await this.#running;
    clearTimeout(limit);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#givingUp.abort();
    await this.#running?.catch(() => {});
    await this.#source[Symbol.asyncDispose]();
  }

  async #flow(signal: AbortSignal): Promise<void> {
    for (;;) {
      // More than the masters can do would only make the end longer.
      if (this.#ledger.open < mostOpen) {
        const steps = [1, 2, 3].map(
          (n): Step => ({ project: `proj-${n}`, durationMs: 300 + Math.floor(Math.random() * 900) }),
        );
        // Not the signal of the end: a pipeline that is submitted by halves would be counted as lost.
        await this.submit(steps, this.#givingUp.signal);
      }
      await pause(everyMs, signal);
    }
  }
}
