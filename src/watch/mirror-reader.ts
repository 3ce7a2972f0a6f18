import { AsyncQueue } from "../internal/async-queue.ts";
import { type MirrorBatch, type MirrorStep, mergeSteps } from "./mirror-batch.ts";

/** What waits for one iteration of a Mirror: batches in order, merged into one when they become too many. */
export class MirrorReader {
  readonly #queue = new AsyncQueue<MirrorStep>(({ puts, deletes }) => Math.max(1, puts.length + deletes.length));
  readonly #maxBuffered: number;
  #mergedWeight = 0;

  constructor(maxBuffered: number) {
    this.#maxBuffered = maxBuffered;
  }

  push(step: MirrorStep): void {
    this.#queue.push(step);
    // What was merged counts twice, so that a reader that stays away does not cost a merge of everything for each step.
    if (this.#queue.weight <= Math.max(this.#maxBuffered, 2 * this.#mergedWeight)) return;
    this.#queue.replaceAll(mergeSteps);
    this.#mergedWeight = this.#queue.weight;
  }

  async next(): Promise<IteratorResult<MirrorBatch, undefined>> {
    this.#mergedWeight = 0;
    const { done, value } = await this.#queue.next();
    if (done) return { done, value: undefined };
    const { type, revision, puts, deletes } = value;
    return { done: false, value: { type, revision, puts, deletes } };
  }

  end(end: { error?: unknown; discard?: boolean }): void {
    this.#queue.end(end);
  }
}
