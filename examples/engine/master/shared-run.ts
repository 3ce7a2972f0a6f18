/** Work that several callers wait for: it ends when none of them does any more. */
export class SharedRun<T> {
  readonly result: Promise<T>;
  readonly #abandoned = new AbortController();
  #waiting = 0;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.result = work(this.#abandoned.signal);
    // Who waits for it hears of it.
    this.result.catch(() => {});
  }

  get isAbandoned(): boolean {
    return this.#abandoned.signal.aborted;
  }

  async join(caller: AbortSignal): Promise<T> {
    this.#waiting++;
    const leave = () => {
      if (--this.#waiting === 0) this.#abandoned.abort(caller.reason);
    };
    caller.addEventListener("abort", leave, { once: true });
    if (caller.aborted) leave();
    try {
      return await this.result;
    } finally {
      caller.removeEventListener("abort", leave);
    }
  }
}
