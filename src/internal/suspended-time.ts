/** The readings that distinguish a suspended machine from a wall clock that was set. */
export interface SuspensionReadings {
  /** Stands still while the machine is suspended. */
  monotonicMs(): number;
  wallMs(): number;
  /** Goes on meanwhile, in steps of a hundredth of a second or of a whole one; undefined when it cannot be read. */
  uptimeSeconds(): number | undefined;
}

/**
 * The uptime is read this often, and whenever the wall clock moved against the monotonic one: a read costs 5 to 30 µs.
 */
const READ_EVERY_MS = 100;
/** The wall clock counts in whole milliseconds, and it is read a moment after the monotonic clock. */
const WALL_NOISE_MS = 20;
const FINE_STEP_MS = 10;
const COARSE_STEP_MS = 1_000;
/** Containers (lxcfs) round the uptime where Linux cuts it off. No machine is suspended for a time as short as this. */
const TOLERANCE_MS = 20;
/** This process may lose its turn between two clocks. */
const MOST_READS = 3;

/**
 * How long the machine was suspended, which its monotonic clock does not count. A wall clock that is set, by NTP or by
 * hand, leaves the monotonic clock and the uptime alone: it changes nothing here.
 *
 * The difference of uptime and monotonic clock is constant as long as the machine runs. Each reading says between which
 * bounds it lies. When the lower bound of a new reading is above the upper one of all before, the machine was
 * suspended, for the difference at most: it is never counted too short, apart from `TOLERANCE_MS`.
 */
export class SuspendedTime {
  readonly #readings: SuspensionReadings;
  #least = Number.NEGATIVE_INFINITY;
  #most = Number.POSITIVE_INFINITY;
  #totalMs = 0;
  #isFine = false;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #wallAheadMs = 0;

  constructor(readings: SuspensionReadings) {
    this.#readings = readings;
  }

  /** Since the first call, in milliseconds. Never shrinks. */
  totalMs(): number {
    const nowMs = this.#readings.monotonicMs();
    const wallAheadMs = this.#readings.wallMs() - nowMs;
    const unmoved = Math.abs(wallAheadMs - this.#wallAheadMs) < WALL_NOISE_MS;
    if (unmoved && nowMs - this.#readAtMs < READ_EVERY_MS) return this.#totalMs;
    this.#readAtMs = nowMs;
    this.#wallAheadMs = wallAheadMs;
    const bounds = this.#read();
    if (bounds) this.#learn(bounds);
    return this.#totalMs;
  }

  #learn({ least, most }: Bounds): void {
    const suspended = least > this.#most + TOLERANCE_MS;
    // It never shrinks by itself: the process was moved to another machine, and what counts is from now on.
    const moved = most < this.#least - TOLERANCE_MS;
    if (suspended) this.#totalMs += most - this.#least;
    if (suspended || moved) {
      this.#least = least;
      this.#most = most;
      return;
    }
    this.#least = Math.max(this.#least, Math.min(least, this.#most));
    this.#most = Math.min(this.#most, Math.max(most, this.#least));
  }

  /** What was read before had no hundredths by chance. */
  #foundFine(): void {
    this.#isFine = true;
    this.#most = Math.max(this.#least, this.#most - (COARSE_STEP_MS - FINE_STEP_MS));
  }

  /** The narrowest of a few readings. */
  #read(): Bounds | undefined {
    let best: Bounds | undefined;
    for (let reads = 0; reads < MOST_READS; reads++) {
      const beforeMs = this.#readings.monotonicMs();
      const seconds = this.#readings.uptimeSeconds();
      const afterMs = this.#readings.monotonicMs();
      if (seconds === undefined) return undefined;
      if (!this.#isFine && !Number.isInteger(seconds)) this.#foundFine();
      const stepMs = this.#isFine ? FINE_STEP_MS : COARSE_STEP_MS;
      const bounds = { least: seconds * 1_000 - afterMs, most: seconds * 1_000 + stepMs - beforeMs };
      if (!best || bounds.most - bounds.least < best.most - best.least) best = bounds;
      if (afterMs - beforeMs < FINE_STEP_MS / 2) break;
    }
    return best;
  }
}

interface Bounds {
  readonly least: number;
  readonly most: number;
}
