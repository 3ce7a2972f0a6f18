import { onAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";

/** Wakes a loop: set any number of times while the loop is busy, it makes it run once more. */
export class Wake {
  #set = false;
  #wake: (() => void) | undefined;

  set(): void {
    this.#set = true;
    this.#wake?.();
  }

  /** Resolves when it is set, when `signal` aborts, or after `limitMs`; and takes the flag down. */
  async wait(clock: Clock, limitMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#set && !signal.aborted) {
      await new Promise<void>((resolve) => {
        // A signal that compares the clocks can be aborted by now, and calls at once.
        let release = () => {};
        const done = () => {
          this.#wake = undefined;
          timer.cancel();
          release();
          resolve();
        };
        const timer = clock.timer(limitMs, done);
        this.#wake = done;
        release = onAbort(signal, done);
      });
    }
    this.#set = false;
  }
}
