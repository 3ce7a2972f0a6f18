/** Hands warnings on, but not the same message twice in a row: what is retried for hours is worth one line in a log. */
export class WarnOnce {
  readonly #onWarning: (error: Error) => void;
  #last: string | undefined;

  constructor(onWarning: (error: Error) => void) {
    this.#onWarning = onWarning;
  }

  warn(error: Error): void {
    if (error.message === this.#last) return;
    this.#last = error.message;
    this.#onWarning(error);
  }

  /** It works: the same message is news again. */
  worked(): void {
    this.#last = undefined;
  }
}
