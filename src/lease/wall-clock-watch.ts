import type { Clock } from "../internal/clock.ts";

/** A wall clock that runs ahead of the monotonic one by so much was set, or the machine stood still. */
const RAN_AHEAD_MS = 1_000;

/**
 * Notices when the machine was suspended, when a virtual one was moved, or when the clock was set. What is left of a
 * lease is known by other clocks; but a hypervisor can hide its pauses from all of them, and then only etcd knows
 * whether the lease is alive.
 */
export class WallClockWatch {
  readonly #clock: Clock;
  #aheadMs = Number.NaN;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Compares from now on. */
  start(): void {
    this.#aheadMs = this.#clock.wallMs() - this.#clock.monotonicMs();
  }

  /** Whether the wall clock ran ahead since the last time that this was asked. */
  ranAhead(): boolean {
    const before = this.#aheadMs;
    this.start();
    return this.#aheadMs - before > RAN_AHEAD_MS;
  }
}
