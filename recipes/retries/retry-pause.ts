import { Backoff, type BackoffOptions, type Runtime, type Timer } from "../../src/internal/index.ts";

/**
 * The pauses after failures, growing and random, of what goes on by being called, and not in a loop as `retry()` does.
 * One pause at a time.
 */
export class RetryPause {
  readonly #runtime: Runtime;
  readonly #options: BackoffOptions;
  /** Made when it is needed: of thousands most never fail. */
  #backoff: Backoff | undefined;
  #timer: Timer | undefined;
  #delayMs = 0;
  #goOn: (() => void) | undefined;

  constructor(runtime: Runtime, options: BackoffOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * Calls `goOn` after a pause; does nothing while one is on.
   *
   * @param cause what failed
   * @returns how long the pause is in all
   */
  begin(goOn: () => void, cause?: unknown): number {
    if (this.#timer) return this.#delayMs;
    this.#backoff ??= new Backoff(this.#runtime, this.#options);
    this.#delayMs = this.#backoff.nextMs({ cause });
    this.#goOn = goOn;
    this.#timer = this.#runtime.clock.timer(this.#delayMs, () => this.cutShort());
    return this.#delayMs;
  }

  /** Ends a pause, and goes on now. */
  cutShort(): void {
    const goOn = this.#goOn;
    this.cancel();
    goOn?.();
  }

  /** Ends a pause, and does not go on. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#goOn = undefined;
  }

  /** Says that it works: once that has lasted, the pauses begin small again (see `Backoff`). */
  succeeded(): void {
    this.#backoff?.succeeded();
  }
}
