import type { MirrorMessage } from "../../src/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { GaugeValue } from "./metric.ts";

interface MirrorState {
  /** As a label. */
  readonly prefix: string;
  readonly size: number;
  /** Since when nothing follows it; undefined while it is live. */
  readonly staleSinceMs: number | undefined;
}

/** The mirrors of prefixes that a process has. */
export class MirrorStates {
  readonly #clock: Clock;
  readonly #states = new Map<number, MirrorState>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param prefix as a label
   * @returns whether this was the end of the last mirror of the prefix
   */
  changed({ id, status, size, staleForMs }: MirrorMessage, prefix: string): boolean {
    if (status === "closed" || status === "failed") {
      this.#states.delete(id);
      return ![...this.#states.values()].some((state) => state.prefix === prefix);
    }
    const staleSinceMs = status === "live" ? undefined : this.#clock.monotonicMs() - staleForMs;
    this.#states.set(id, { prefix, size, staleSinceMs });
    return false;
  }

  /** The largest of each prefix. */
  get sizes(): GaugeValue[] {
    return this.#most(({ size }) => size);
  }

  /** The oldest of each prefix, in seconds. */
  get staleSeconds(): GaugeValue[] {
    const nowMs = this.#clock.monotonicMs();
    return this.#most(({ staleSinceMs }) => (staleSinceMs === undefined ? 0 : (nowMs - staleSinceMs) / 1_000));
  }

  #most(measured: (state: MirrorState) => number): GaugeValue[] {
    const most = new Map<string, number>();
    for (const state of this.#states.values()) {
      most.set(state.prefix, Math.max(measured(state), most.get(state.prefix) ?? 0));
    }
    return [...most].map(([prefix, value]) => ({ value, labels: { prefix } }));
  }
}
