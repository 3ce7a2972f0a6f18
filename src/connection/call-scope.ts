import { onAbort } from "../internal/abort.ts";
import type { Clock } from "../internal/clock.ts";

/**
 * The life of one call: ended early by the caller's signal or by the client's close, whatever the call is waiting for at
 * that moment. One listener and one entry in the client's list for the whole call, however many attempts it makes.
 */
export class CallScope {
  readonly #release: () => void;
  #ended: { reason: unknown } | undefined;
  #interrupt: ((reason: unknown) => void) | undefined;

  constructor(signal: AbortSignal | undefined, open: Set<CallScope>) {
    open.add(this);
    const releaseSignal = onAbort(signal, () => this.end(signal?.reason));
    this.#release = () => {
      releaseSignal();
      open.delete(this);
    };
  }

  end(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = { reason };
    this.#interrupt?.(reason);
  }

  /** @throws the reason, once the call was ended early */
  throwIfEnded(): void {
    if (this.#ended) throw this.#ended.reason;
  }

  /**
   * Waits for what `start` begins; rejects with the reason as soon as the call is ended early, and then calls the
   * function that `start` returned so that the work stops too.
   */
  wait<T>(
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => (() => void) | undefined,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended.reason);
        return;
      }
      // Let go of when it is settled: what gRPC calls back lives until the next full collection, and the answer would with it.
      let waiter: { resolve: typeof resolve; reject: typeof reject } | undefined = { resolve, reject };
      let stop: (() => void) | undefined;
      const settle = () => {
        const settling = waiter;
        if (settling) this.#interrupt = undefined;
        waiter = undefined;
        return settling;
      };
      this.#interrupt = (reason) => {
        settle()?.reject(reason);
        stop?.();
      };
      stop = start(
        (value) => settle()?.resolve(value),
        (error) => settle()?.reject(error),
      );
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
    return this.wait((resolve) => {
      const timer = clock.timer(delayMs, () => resolve());
      return () => timer.cancel();
    });
  }

  release(): void {
    this.#release();
  }
}
