import { abortable, type Clock, onAbort, quietDeferred, sleep, within } from "../../src/internal/index.ts";
import { asError } from "../common/index.ts";

export interface HealthParts {
  /** Undefined: always healthy. */
  readonly check: ((signal: AbortSignal) => Promise<boolean> | boolean) | undefined;
  readonly everyMs: number;
  readonly clock: Clock;
  /** Told when a check threw or took too long, once for the same message. */
  onWarning(error: Error): void;
}

/** Whether a candidate can lead, asked again and again while somebody wants to know. */
export class Health {
  readonly #parts: HealthParts;
  readonly #listeners = new Set<() => void>();
  /** Undefined until the first check has answered. */
  #healthy: boolean | undefined;
  #lastWarning: string | undefined;

  constructor(parts: HealthParts) {
    this.#parts = parts;
    if (!parts.check) this.#healthy = true;
  }

  /** Asks until `signal` aborts. One check at a time is waited for. */
  async run(signal: AbortSignal): Promise<void> {
    const { check, everyMs, clock } = this.#parts;
    if (!check) return;
    this.#healthy = undefined;
    while (!signal.aborted) {
      const attempt = new AbortController();
      const release = onAbort(signal, () => attempt.abort(signal.reason));
      const late = () => new Error(`the health check took longer than ${everyMs} ms`);
      try {
        // Whoever ends this does not wait for a check that does not listen to its signal.
        const answer = abortable((async () => check(attempt.signal))(), attempt.signal);
        const healthy = await within(clock, answer, everyMs, late);
        if (!signal.aborted) this.#set(healthy === true);
      } catch (error) {
        if (!signal.aborted) this.#unwell(asError(error));
      } finally {
        release();
        attempt.abort(new Error("the health check is over"));
      }
      await sleep(clock, everyMs, signal).catch(() => {});
    }
  }

  /** @throws `signal.reason` */
  async untilHealthy(signal: AbortSignal): Promise<void> {
    if (this.#healthy) return;
    const healthy = quietDeferred<void>();
    const listener = () => this.#healthy && healthy.resolve();
    this.#listeners.add(listener);
    try {
      await abortable(healthy.promise, signal);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Calls `listener` when it is not healthy any more, at once if it is not now. The returned function takes it off. */
  onUnhealthy(listener: () => void): () => void {
    const call = () => this.#healthy === false && listener();
    this.#listeners.add(call);
    call();
    return () => this.#listeners.delete(call);
  }

  #set(healthy: boolean): void {
    if (healthy) this.#lastWarning = undefined;
    if (healthy === this.#healthy) return;
    this.#healthy = healthy;
    for (const listener of [...this.#listeners]) listener();
  }

  #unwell(error: Error): void {
    if (error.message !== this.#lastWarning) this.#parts.onWarning(error);
    this.#lastWarning = error.message;
    this.#set(false);
  }
}
