import { PeerError } from "./peer-error.ts";
import { errorCode } from "./protocol.ts";

/**
 * Frames that bring nothing, in a second: far above what any peer has reason to send, and little work. Go's and Node's
 * servers bound the same floods (CVE-2019-9512, -9515, -9518) by similar numbers.
 */
const MOST_IN_A_SECOND = 10_000;
/** A frame of ours gives a peer reason for so many. */
export const reasons = {
  /** A window update for the stream and one for the connection. */
  dataSent: 2,
  /** Late window updates, a reset and trailers of a stream that we ended. */
  streamOpened: 4,
} as const;
const MOST_SAVED = 1_000_000;

/**
 * How many frames the peer may still send that bring nothing: pings, settings, window updates, empty ones, unknown
 * ones.
 */
export class FrameBudget {
  readonly #nowMs: () => number;
  #left = MOST_IN_A_SECOND;
  #sinceMs: number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#sinceMs = nowMs();
  }

  earn(frames: number): void {
    if (this.#left < MOST_SAVED) this.#left += frames;
  }

  /** @throws PeerError when there are none left */
  spend(): void {
    if (--this.#left >= 0) return;
    const now = this.#nowMs();
    if (now - this.#sinceMs < 1_000) {
      throw new PeerError(
        errorCode.ENHANCE_YOUR_CALM,
        `more than ${MOST_IN_A_SECOND} frames in a second that bring nothing`,
      );
    }
    this.#sinceMs = now;
    this.#left = MOST_IN_A_SECOND;
  }
}
