import { onAbort } from "../internal/abort.ts";
import type { Clock } from "../internal/clock.ts";

/** What a wait began, and what stops it. */
export interface Stoppable {
  cancel(): void;
}

/** Who waits, and for what. */
interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
  stops: Stoppable | undefined;
}

/**
 * The life of one call: ended early by the caller's signal or by the client's close, whatever the call is waiting for
 * at that moment. One listener and one entry in the client's list for the whole call, however many attempts it makes.
 */
export class CallScope {
  readonly #open: Set<CallScope>;
  readonly #releaseSignal: (() => void) | undefined;
  #ended: { reason: unknown } | undefined;
  #waiting: Waiting | undefined;
  #held: Stoppable | undefined;

  constructor(signal: AbortSignal | undefined, open: Set<CallScope>) {
    this.#open = open;
    open.add(this);
    if (signal) this.#releaseSignal = onAbort(signal, () => this.end(signal.reason));
  }

  end(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = { reason };
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(reason);
    waiting?.stops?.cancel();
    this.#held?.cancel();
  }

  /** What goes on between waits, and is cancelled when the call is ended early. */
  holds(held: Stoppable): void {
    this.#held = held;
    if (this.#ended) held.cancel();
  }

  /** @throws the reason, once the call was ended early */
  throwIfEnded(): void {
    if (this.#ended) throw this.#ended.reason;
  }

  /**
   * Waits for what `start` begins; rejects with the reason as soon as the call is ended early, and then cancels what
   * `start` returned so that the work stops too.
   */
  wait<T>(start: (resolve: (value: T) => void, reject: (error: unknown) => void) => Stoppable | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended.reason);
        return;
      }
      // Let go of when it is settled: what gRPC calls back may live until the next full collection, and the answer with
      // it.
      let waiting: Waiting | undefined = { resolve, reject, stops: undefined };
      this.#waiting = waiting;
      const settle = () => {
        const settling = this.#waiting === waiting ? waiting : undefined;
        if (settling) this.#waiting = undefined;
        waiting = undefined;
        return settling;
      };
      const stops = start(
        (value) => settle()?.resolve(value as never),
        (error) => settle()?.reject(error),
      );
      if (waiting) waiting.stops = stops;
    });
  }

  /** Waits for what `start` begins, which goes on when the call is ended early; it is not begun at all after that. */
  waitFor<T>(start: () => Promise<T>): Promise<T> {
    return this.wait((resolve, reject) => {
      start().then(resolve, reject);
      return undefined;
    });
  }

  pause(clock: Clock, delayMs: number): Promise<void> {
    return this.wait((resolve) => clock.timer(delayMs, () => resolve()));
  }

  release(): void {
    this.#releaseSignal?.();
    this.#open.delete(this);
  }
}
