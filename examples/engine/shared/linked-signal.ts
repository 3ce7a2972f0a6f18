import { setMaxListeners } from "node:events";

/**
 * Aborts when one of several signals does. At the end of its scope it listens to none of them any more:
 * `AbortSignal.any()` would be held by a signal that lives as long as the process, one for each task.
 */
export class LinkedSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];
  readonly #look = () => {
    const aborted = this.#sources.find((source) => source.aborted);
    if (aborted) this.#controller.abort(aborted.reason);
  };

  constructor(...sources: readonly AbortSignal[]) {
    this.#sources = sources;
    // As many tasks as there are may follow one term: Node would take more than ten for a leak.
    setMaxListeners(0, ...sources);
    for (const source of sources) source.addEventListener("abort", this.#look);
    this.#look();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source.removeEventListener("abort", this.#look);
  }
}
