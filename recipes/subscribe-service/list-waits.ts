import { type Clock, onAbort, quietDeferred } from "../../src/internal/index.ts";
import type { UntilOptions } from "./options.ts";

export interface ListWaitsParts {
  readonly clock: Clock;
  /** Whether there is a list to look at. */
  isListed(): boolean;
  /** The end of the list, and why, when it has come. */
  ended(): AbortSignal;
}

/** All who wait for a list that is as they want it. */
export class ListWaits {
  readonly #parts: ListWaitsParts;
  readonly #waiting = new Set<() => void>();

  constructor(parts: ListWaitsParts) {
    this.#parts = parts;
  }

  /**
   * Waits until `look` finds something: at once, if there is a list, or after one of the next batches.
   *
   * @throws what `look` throws; `outOfTime()`; `signal.reason`; why the list ended
   */
  async until<Found>(
    look: () => Found | undefined,
    { timeoutMs, signal }: UntilOptions,
    outOfTime: () => Error,
  ): Promise<Found> {
    const { clock, isListed, ended } = this.#parts;
    const found = quietDeferred<Found>();
    const lookAgain = () => {
      try {
        ended().throwIfAborted();
        const result = isListed() ? look() : undefined;
        if (result !== undefined) found.resolve(result);
      } catch (error) {
        found.reject(error);
      }
    };
    const timer = timeoutMs === undefined ? undefined : clock.timer(timeoutMs, () => found.reject(outOfTime()));
    const release = onAbort(signal, () => found.reject(signal?.reason));
    this.#waiting.add(lookAgain);
    try {
      lookAgain();
      return await found.promise;
    } finally {
      this.#waiting.delete(lookAgain);
      timer?.cancel();
      release();
    }
  }

  /** The list has changed, or ended. */
  lookAll(): void {
    for (const look of [...this.#waiting]) look();
  }
}
