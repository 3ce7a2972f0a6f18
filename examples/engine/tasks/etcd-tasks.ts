import { defaultClient, type Job, JobLostError, prefix, Queue } from "etcd-recipes";
import type { Log } from "../shared/events.ts";
import { keys } from "../shared/keys.ts";
import { retry } from "../shared/retry.ts";
import { longestReason, type Task } from "./task.ts";
import type { DeadLetter, Taken, TaskSource } from "./task-source.ts";

/**
 * Of a dead letter, in characters; no task is as long. What just fitted into a job does not fit beside a reason, and no
 * leader could put it aside.
 */
const longestValue = 100_000;

/** Tasks in a queue in etcd: nothing else is needed. */
export class EtcdTasks implements TaskSource {
  readonly #queue: Queue;

  /** @param ttlSeconds how long the tasks of a dead leader stay away from the next one */
  constructor(ttlSeconds: number, log: Log) {
    // The attempts that count are those of the task's own failures, see `progress`: not those of leaders that died.
    this.#queue = new Queue(keys.tasks, { ttlSeconds, maxAttempts: Number.MAX_SAFE_INTEGER });
    this.#queue.on("warning", (error) => log("warning", { reason: error.message }));
  }

  async take(signal: AbortSignal): Promise<Taken> {
    const job = await this.#queue.dequeue({ signal });
    return {
      id: job.id,
      value: job.value,
      signal: job.signal,
      ack: (until) => ack(job, until),
      deadLetter: (reason, until) => this.#bury(job, reason, until),
    };
  }

  async submit(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
    for (const task of tasks) {
      await retry(() => this.#queue.enqueue(JSON.stringify(task), { id: task.id, signal }), { signal });
    }
  }

  size(): Promise<number> {
    return this.#queue.size();
  }

  async deadLetters(): Promise<DeadLetter[]> {
    const { kvs } = await defaultClient().range(prefix(keys.deadLetters));
    return kvs.map(({ text }) => JSON.parse(text));
  }

  /** What is in hand goes back at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close();
  }

  /** The letter first: what is written twice is written once, what is acknowledged first may be lost. */
  async #bury(job: Job, reason: string, signal: AbortSignal): Promise<void> {
    const letter: DeadLetter = { value: job.value.slice(0, longestValue), reason: reason.slice(0, longestReason) };
    await retry(() => defaultClient().put(keys.deadLetters + job.id, JSON.stringify(letter)), { signal });
    await ack(job, signal);
  }
}

async function ack(job: Job, signal: AbortSignal): Promise<void> {
  try {
    await job.ack({ signal });
  } catch (error) {
    // It comes again, and then its progress says that it is over.
    if (!(error instanceof JobLostError)) throw error;
  }
}
