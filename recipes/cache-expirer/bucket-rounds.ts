import { type Runtime, Wake } from "../../src/internal/index.ts";
import { retry } from "../retries/index.ts";
import type { Buckets } from "./buckets.ts";

/** Buckets of a short TTL are not worth a timer each. */
const SHORTEST_PAUSE_MS = 50;
/** The wall clock may be set meanwhile. */
const LONGEST_PAUSE_MS = 3_600_000;

export interface RoundsOptions {
  readonly signal: AbortSignal;
  readonly onWarning: (error: Error) => void;
}

/** Does what is due with the end of each bucket, and at a wake-up; what fails again after a growing delay. */
export class BucketRounds {
  readonly #runtime: Runtime;
  readonly #buckets: Buckets;
  readonly #wake = new Wake();

  constructor(runtime: Runtime, buckets: Buckets) {
    this.#runtime = runtime;
    this.#buckets = buckets;
  }

  /** The next round comes now: etcd is back, or there is something new. */
  wake(): void {
    this.#wake.set();
  }

  /** Resolves when `signal` aborts. */
  async run(round: (nowMs: number) => Promise<void>, { signal, onWarning }: RoundsOptions): Promise<void> {
    const { clock } = this.#runtime;
    let nowMs: number;
    const pause = async (delayMs = LONGEST_PAUSE_MS) => {
      const untilNextMs = Math.max(SHORTEST_PAUSE_MS, this.#buckets.next(nowMs) - nowMs);
      await this.#wake.wait(clock, Math.min(untilNextMs, delayMs), signal);
      signal.throwIfAborted();
    };
    const rounds = async (worked: () => void) => {
      for (;;) {
        nowMs = clock.wallMs();
        await round(nowMs);
        worked();
        await pause();
      }
    };
    const retrying = { runtime: this.#runtime, signal, backoff: { initialMs: 100 }, onWarning, pause };
    await retry(rounds, retrying).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }
}
