/** What to do when the peer was looked at. */
export type Look = "ping" | "settings" | "silent" | undefined;

export interface LivenessTimes {
  readonly unansweredMs: number;
  readonly quietMs: number;
  readonly answerMs: number;
  readonly pingIntervalMs: number;
}

export interface LookedAt {
  /** A call or a stream is open. */
  readonly open: boolean;
  /** A unary call is. */
  readonly unanswered: boolean;
  /** Some caller asks for a sign of life. */
  readonly wanted: boolean;
  /**
   * All that left the process so far, while some is still waiting to: progress is a sign of life too, for the question
   * may stand behind a large message. Undefined when nothing waits.
   */
  readonly leftBytes: number | undefined;
}

/** A PING may wait behind a large answer, but a peer that never answers one, whatever else it sends, is broken. */
const PING_ANSWER_TIMES = 5;

/**
 * Decides whether the peer is alive, by anything that is read of it. Nothing is asked of it while nothing is open.
 *
 * ```
 *            nothing read for unansweredMs (a call is open)
 *            or quietMs (only streams are)                    nothing read for answerMs
 *   quiet ────────────────────────────────────────▶ asked ────────────────────────────▶ silent
 *     ▲                                               │ anything read
 *     └───────────────────────────────────────────────┘
 * ```
 *
 * It is asked by a PING. etcd ends a connection whose pings come faster than every 5 s, unless it has sent DATA or
 * HEADERS in between, and that pings with nothing open (grpc-go: `handlePing`). So where a PING is not due it is an
 * empty SETTINGS, which a peer must acknowledge likewise (RFC 9113, section 6.5.3) and no server counts.
 *
 * Go, for comparison: clientv3 sends no pings unless it is set to (`DialKeepAliveTime`), grpc-go then waits 10 s or
 * more before the first and `DialKeepAliveTimeout` (20 s where not set) for its answer.
 */
export class Liveness {
  readonly #times: LivenessTimes;
  #heardMs: number;
  #askedMs: number | undefined;
  #pingMs = Number.NEGATIVE_INFINITY;
  #pingOpen = false;
  #leftBytes = 0;

  constructor(times: LivenessTimes, nowMs: number) {
    this.#times = times;
    this.#heardMs = nowMs;
  }

  /**
   * Something was read.
   *
   * @returns whether it had been asked for a sign of life: the next look is due sooner than it was
   */
  heard(nowMs: number): boolean {
    this.#heardMs = nowMs;
    if (this.#askedMs === undefined) return false;
    this.#askedMs = undefined;
    return true;
  }

  /** The first call or stream was opened: its silence counts from now. */
  begin(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  pingAnswered(): void {
    this.#pingOpen = false;
  }

  /** @returns what to ask of the peer, or that it is silent */
  look(nowMs: number, { open, unanswered, wanted, leftBytes }: LookedAt): Look {
    const { answerMs, pingIntervalMs } = this.#times;
    if (this.#askedMs !== undefined && leftBytes !== undefined && leftBytes > this.#leftBytes) {
      this.#leftBytes = leftBytes;
      this.#askedMs = nowMs;
    }
    if (this.#askedMs !== undefined && nowMs - this.#askedMs >= answerMs) return "silent";
    if (this.#pingOpen && nowMs - this.#pingMs >= answerMs * PING_ANSWER_TIMES) return "silent";
    if (this.#askedMs !== undefined) return undefined;
    if (!wanted && !(open && nowMs >= this.#heardMs + this.#silenceMs(unanswered))) return undefined;
    this.#askedMs = nowMs;
    this.#leftBytes = leftBytes ?? 0;
    if (!open || this.#pingOpen || nowMs < this.#pingMs + pingIntervalMs) return "settings";
    this.#pingMs = nowMs;
    this.#pingOpen = true;
    return "ping";
  }

  /** When to look again, at the latest. */
  nextLookMs(unanswered: boolean): number {
    const { answerMs } = this.#times;
    const next = this.#askedMs === undefined ? this.#heardMs + this.#silenceMs(unanswered) : this.#askedMs + answerMs;
    return this.#pingOpen ? Math.min(next, this.#pingMs + answerMs * PING_ANSWER_TIMES) : next;
  }

  #silenceMs(unanswered: boolean): number {
    return unanswered ? this.#times.unansweredMs : this.#times.quietMs;
  }
}
