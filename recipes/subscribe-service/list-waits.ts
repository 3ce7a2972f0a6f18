import { type Clock, onAbort, patientTimer, quietDeferred } from "../../src/internal/index.ts";
import type { UntilOptions } from "./options.ts";

/** The state of a list that calls wait for. */
export interface WaitedList {
  /** Whether there is a list to look at. */
  readonly list: { readonly listed: boolean };
  /** Aborts at its end, with the reason. */
  readonly ended: AbortSignal;
}

/** All who wait for a list that is as they want it. */
export class ListWaits {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Waits until `look` finds something: at once, if there is a list, or after one of the next batches.
   *
   * @throws what `look` throws; `outOfTime()`; `signal.reason`; why the list ended
   */
  async until<Found>(
    waited: WaitedList,
    look: () => Found | undefined,
    { timeoutMs, signal }: UntilOptions,
    outOfTime: () => Error,
  ): Promise<Found> {
    const found = quietDeferred<Found>();
    const lookAgain = () => {
      try {
        waited.ended.throwIfAborted();
        const result = waited.list.listed ? look() : undefined;
        if (result !== undefined) found.resolve(result);
      } catch (error) {
        found.reject(error);
      }
    };
    const timer =
      timeoutMs === undefined ? undefined : patientTimer(this.#clock, timeoutMs, () => found.reject(outOfTime()));
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
