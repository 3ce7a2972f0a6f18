import type { Outcome } from "./balancer.ts";

interface Entry {
  inFlight: number;
  /** As it was at `atMs`; 0: nothing is known. */
  estimateMs: number;
  atMs: number;
  /** In a row. */
  failures: number;
}

/** What takes no time that can be measured still takes some, or a server with any number of calls would seem free. */
const SHORTEST_MS = 0.01;
/** While no latency was reported, all are alike, and only in-flight calls, weights and failures count. */
const UNKNOWN_TYPICAL_MS = 1;
/** A failure counts as a call that took 4, 16, 64, … times as long as usual, by how many there were in a row. */
const FAILURE_FACTOR = 4;
const FAILURES_THAT_COUNT = 6;
/** After so many time constants an estimate is e^−10 of what it was: it says nothing any more. */
const FORGOTTEN_AFTER = 10;
const FIRST_SWEEP = 64;

/**
 * Calls in flight and an estimate of the latency for each server that had calls, by its id. What says nothing any more
 * is dropped, so that servers that come and go leave nothing behind; never one with a call in flight.
 *
 * The estimate is the peak EWMA of Finagle (com.twitter.finagle.loadbalancer.PeakEwma): a slower call raises it at
 * once, faster ones lower it over the time constant, and without calls it decays likewise, so that a server that was
 * slow is tried again.
 */
export class LatencyBook {
  readonly #decayMs: number;
  readonly #entries = new Map<unknown, Entry>();
  #typicalMs = 0;
  #typicalAtMs = 0;
  #sweepAbove = FIRST_SWEEP;

  constructor(decayMs: number) {
    this.#decayMs = decayMs;
  }

  /** How many servers are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** What the call after those in flight would have to wait for: latency × (in flight + 1). */
  costOf(id: unknown, nowMs: number): number {
    const entry = this.#entries.get(id);
    if (entry === undefined) return this.#usualMs();
    return this.#estimateMs(entry, nowMs) * (entry.inFlight + 1);
  }

  started(id: unknown, nowMs: number): void {
    this.#entry(id, nowMs).inFlight++;
  }

  /** An end without a beginning counts for nothing. */
  ended(id: unknown): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined && entry.inFlight > 0) entry.inFlight--;
  }

  report(id: unknown, { latencyMs, error }: Outcome, nowMs: number): void {
    const measured = latencyMs !== undefined && latencyMs >= 0 && latencyMs < Number.POSITIVE_INFINITY;
    const tookMs = measured ? Math.max(latencyMs, SHORTEST_MS) : 0;
    if (error === undefined && !measured && !this.#entries.has(id)) return;
    const entry = this.#entry(id, nowMs);
    if (error !== undefined) {
      // A server that refuses at once must not look fast.
      entry.failures = Math.min(entry.failures + 1, FAILURES_THAT_COUNT);
      this.#observe(entry, Math.max(tookMs, this.#usualMs() * FAILURE_FACTOR ** entry.failures), nowMs);
      return;
    }
    entry.failures = 0;
    if (!measured) return;
    this.#observe(entry, tookMs, nowMs);
    const kept = Math.exp((this.#typicalAtMs - nowMs) / this.#decayMs);
    this.#typicalMs = this.#typicalMs === 0 ? tookMs : this.#typicalMs * kept + tookMs * (1 - kept);
    this.#typicalAtMs = nowMs;
  }

  #observe(entry: Entry, tookMs: number, nowMs: number): void {
    const known = this.#isForgotten(entry, nowMs) ? 0 : entry.estimateMs;
    const kept = Math.exp((entry.atMs - nowMs) / this.#decayMs);
    entry.estimateMs = tookMs >= known ? tookMs : known * kept + tookMs * (1 - kept);
    entry.atMs = nowMs;
  }

  /** A server without data is taken to be as fast as calls usually are: it gets neither everything nor nothing. */
  #estimateMs(entry: Entry, nowMs: number): number {
    if (this.#isForgotten(entry, nowMs)) return this.#usualMs();
    return entry.estimateMs * Math.exp((entry.atMs - nowMs) / this.#decayMs);
  }

  #usualMs(): number {
    return this.#typicalMs === 0 ? UNKNOWN_TYPICAL_MS : this.#typicalMs;
  }

  #isForgotten(entry: Entry, nowMs: number): boolean {
    return entry.estimateMs === 0 || nowMs - entry.atMs > FORGOTTEN_AFTER * this.#decayMs;
  }

  #entry(id: unknown, nowMs: number): Entry {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      if (this.#entries.size >= this.#sweepAbove) this.#sweep(nowMs);
      entry = { inFlight: 0, estimateMs: 0, atMs: nowMs, failures: 0 };
      this.#entries.set(id, entry);
    }
    return entry;
  }

  #sweep(nowMs: number): void {
    for (const [id, entry] of this.#entries) {
      if (entry.inFlight === 0 && this.#isForgotten(entry, nowMs)) this.#entries.delete(id);
    }
    this.#sweepAbove = Math.max(FIRST_SWEEP, this.#entries.size * 2);
  }
}
