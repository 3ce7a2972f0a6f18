import type { Clock } from "../../src/internal/index.ts";

/**
 * A worker that does not see for so long what it gave back goes on: the revision may be of a history that is lost. On a
 * busy machine a second was too short, and a later job came first.
 */
const UNSEEN_LIMIT_MS = 5_000;

/** What a worker gave back stands where it stood: it must see that before it takes what comes after. */
export class ReleasedRevision {
  readonly #clock: Clock;
  #revision = 0;
  #untilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A job was given back at this revision. */
  add(revision: number): void {
    const nowMs = this.#clock.monotonicMs();
    // One answer can overtake the other. What is older than that may be of a history that is lost.
    this.#revision = nowMs < this.#untilMs ? Math.max(this.#revision, revision) : revision;
    this.#untilMs = nowMs + UNSEEN_LIMIT_MS;
  }

  /** How long to wait for a mirror that is at this revision; 0 when it shows what was given back. */
  waitMs(mirrorRevision: number): number {
    if (mirrorRevision >= this.#revision) return 0;
    return Math.max(0, this.#untilMs - this.#clock.monotonicMs());
  }
}
