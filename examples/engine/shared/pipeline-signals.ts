import { Cancellation } from "etcd-recipes";
import type { Log } from "./events.ts";
import { keys } from "./keys.ts";

/** A pipeline that is followed as long as this scope lasts. */
export interface FollowedPipeline extends Disposable {
  /** Aborts when the pipeline is cancelled. */
  readonly signal: AbortSignal;
}

/** Which pipelines are cancelled: each is followed while a task of it is in hand here. */
export class PipelineSignals implements AsyncDisposable {
  readonly #cancellation = new Cancellation(keys.cancellations);
  readonly #users = new Map<string, number>();

  constructor(log: Log) {
    this.#cancellation.on("warning", (error) => log("warning", { reason: error.message }));
  }

  /** Resolves when cancellations of the past are known. */
  get ready(): Promise<void> {
    return this.#cancellation.ready;
  }

  follow(pipelineId: string): FollowedPipeline {
    this.#users.set(pipelineId, this.#usersOf(pipelineId) + 1);
    const signal = this.#cancellation.signal(pipelineId);
    return { signal, [Symbol.dispose]: () => this.#leave(pipelineId) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cancellation.close();
  }

  #usersOf(pipelineId: string): number {
    return this.#users.get(pipelineId) ?? 0;
  }

  #leave(pipelineId: string): void {
    this.#users.set(pipelineId, this.#usersOf(pipelineId) - 1);
    if (this.#usersOf(pipelineId) > 0) return;
    this.#users.delete(pipelineId);
    this.#cancellation.release(pipelineId);
  }
}
