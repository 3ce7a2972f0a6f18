import type { Outcome } from "./balancer.ts";
import { roomFor } from "./typed-arrays.ts";

/** What takes no time that can be measured still takes some, or a server with any number of calls would seem free. */
const SHORTEST_MS = 0.01;
/** While no latency was reported, all are alike, and only in-flight calls, weights and failures count. */
const UNKNOWN_TYPICAL_MS = 1;
/** A failure counts as a call that took 4, 16, 64, … times as long as usual, by how many there were in a row. */
const FAILURE_FACTOR = 4;
const FAILURES_THAT_COUNT = 6;
/** After so many time constants an estimate is e^−10 of what it was: it says nothing any more. */
const FORGOTTEN_AFTER = 10;

/**
 * An estimate of the latency of each server that had calls, by its slot.
 *
 * The estimate is the peak EWMA of Finagle (com.twitter.finagle.loadbalancer.PeakEwma): a slower call raises it at
 * once, faster ones lower it over the time constant, and without calls it decays likewise, so that a server that was
 * slow is tried again. But not below what is usual, or a light server, which has fewer calls, would seem to be faster.
 */
export class LatencyBook {
  readonly #decayMs: number;
  /** As it was at `#atMs`; 0: nothing is known. */
  #estimatesMs = new Float64Array(0);
  #atMs = new Float64Array(0);
  /** In a row. */
  #failures = new Int32Array(0);
  #typicalMs = 0;
  #typicalAtMs = 0;

  constructor(decayMs: number) {
    this.#decayMs = decayMs;
  }

  /** Another server has this slot now. */
  forget(slot: number): void {
    if (slot >= this.#estimatesMs.length) return;
    this.#estimatesMs[slot] = 0;
    this.#failures[slot] = 0;
  }

  /** Whether what is known of it still says something. */
  knows(slot: number, nowMs: number): boolean {
    const estimateMs = slot < this.#estimatesMs.length ? (this.#estimatesMs[slot] as number) : 0;
    return estimateMs !== 0 && nowMs - (this.#atMs[slot] as number) <= FORGOTTEN_AFTER * this.#decayMs;
  }

  /** A server without data is taken to be as fast as calls usually are: it gets neither everything nor nothing. */
  estimateMs(slot: number, nowMs: number): number {
    if (!this.knows(slot, nowMs)) return this.#usualMs();
    const knownMs = this.#estimatesMs[slot] as number;
    const usualMs = this.#usualMs();
    if (knownMs <= usualMs) return knownMs;
    return Math.max(usualMs, knownMs * Math.exp(((this.#atMs[slot] as number) - nowMs) / this.#decayMs));
  }

  report(slot: number, { latencyMs, error }: Outcome, nowMs: number): void {
    const measured = latencyMs !== undefined && latencyMs >= 0 && latencyMs < Number.POSITIVE_INFINITY;
    const tookMs = measured ? Math.max(latencyMs, SHORTEST_MS) : 0;
    this.#estimatesMs = roomFor(this.#estimatesMs, slot);
    this.#atMs = roomFor(this.#atMs, slot);
    this.#failures = roomFor(this.#failures, slot);
    if (error !== undefined) {
      // A server that refuses at once must not look fast.
      const failures = Math.min((this.#failures[slot] as number) + 1, FAILURES_THAT_COUNT);
      this.#failures[slot] = failures;
      this.#observe(slot, Math.max(tookMs, this.#usualMs() * FAILURE_FACTOR ** failures), nowMs);
      return;
    }
    this.#failures[slot] = 0;
    if (!measured) return;
    this.#observe(slot, tookMs, nowMs);
    const kept = Math.exp((this.#typicalAtMs - nowMs) / this.#decayMs);
    this.#typicalMs = this.#typicalMs === 0 ? tookMs : this.#typicalMs * kept + tookMs * (1 - kept);
    this.#typicalAtMs = nowMs;
  }

  #observe(slot: number, tookMs: number, nowMs: number): void {
    const known = this.knows(slot, nowMs) ? (this.#estimatesMs[slot] as number) : 0;
    const kept = Math.exp(((this.#atMs[slot] as number) - nowMs) / this.#decayMs);
    this.#estimatesMs[slot] = tookMs >= known ? tookMs : known * kept + tookMs * (1 - kept);
    this.#atMs[slot] = nowMs;
  }

  #usualMs(): number {
    return this.#typicalMs === 0 ? UNKNOWN_TYPICAL_MS : this.#typicalMs;
  }
}
