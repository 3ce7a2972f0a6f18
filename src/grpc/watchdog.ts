import type { Clock, Timer } from "../internal/clock.ts";
import { setImmediate } from "../internal/real-time.ts";
import type { FrameWriter } from "./http2/frame-writer.ts";
import { Liveness, type LivenessTimes } from "./http2/liveness.ts";
import { Pings } from "./pings.ts";

export interface WatchdogParts {
  readonly clock: Clock;
  readonly times: LivenessTimes;
  readonly writer: FrameWriter;
  /** How many calls and streams are open, and how many of these are unary calls. */
  openCount(): number;
  unaryCount(): number;
  /** The peer is dead. */
  silent(): void;
}

/**
 * Looks at times whether the peer gives signs of life, and asks it for one. One timer, and only while something is
 * open.
 */
export class Watchdog {
  readonly #parts: WatchdogParts;
  readonly #liveness: Liveness;
  readonly #pings = new Pings();
  #timer: Timer | undefined;
  #lookAtMs = Number.POSITIVE_INFINITY;
  #doubted = false;
  #stopped = false;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
    this.#liveness = new Liveness(parts.times, parts.clock.monotonicMs());
  }

  get pingsSent(): number {
    return this.#pings.sent;
  }

  /** Some caller waits for an answer. */
  get isAsked(): boolean {
    return this.#pings.wanted;
  }

  /** The settings of the beginning were sent. */
  greeted(): void {
    this.#pings.greeted(this.#parts.clock.monotonicMs());
  }

  heard(nowMs: number): void {
    if (this.#liveness.heard(nowMs)) this.watch();
  }

  /** The first call or stream was opened. */
  begin(nowMs: number): void {
    this.#liveness.begin(nowMs);
  }

  /** Looks in time. To be called after each call that was opened: it costs nothing when a look is due anyway. */
  watch(): void {
    if (this.#parts.openCount() === 0 && !this.#pings.wanted) return;
    const lookAtMs = this.#liveness.nextLookMs(this.#parts.unaryCount() > 0);
    if (lookAtMs >= this.#lookAtMs) return;
    this.#timer?.cancel();
    this.#lookAtMs = lookAtMs;
    const { clock } = this.#parts;
    this.#timer = clock.timer(lookAtMs - clock.monotonicMs(), this.#onTimer).unref();
  }

  ask(): Promise<number> {
    const answered = this.#pings.wait();
    this.#look();
    return answered;
  }

  acknowledged(answers: "settings" | Buffer): void {
    const now = this.#parts.clock.monotonicMs();
    if (answers === "settings") this.#pings.settingsAnswered(now);
    else if (this.#pings.pingAnswered(answers, now)) this.#liveness.pingAnswered();
  }

  stop(reason: Error): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#pings.reject(reason);
  }

  readonly #onTimer = () => {
    this.#timer = undefined;
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    this.#look();
  };

  readonly #lookAgain = () => this.#look();

  #look(): void {
    if (this.#stopped) return;
    const { clock, writer, openCount, unaryCount, silent } = this.#parts;
    const open = openCount() > 0;
    if (!open && !this.#pings.wanted) return;
    const now = clock.monotonicMs();
    const { isWaiting, leftBytes } = writer;
    const look = this.#liveness.look(now, {
      open,
      unanswered: unaryCount() > 0,
      wanted: this.#pings.wanted,
      leftBytes: isWaiting ? leftBytes : undefined,
    });
    if (look === "silent") {
      // A process that was busy, or stopped, has not read what has come meanwhile: it does so before the second look.
      if (this.#doubted) {
        silent();
        return;
      }
      this.#doubted = true;
      setImmediate(this.#lookAgain);
      return;
    }
    this.#doubted = false;
    if (look === "ping") writer.ping(this.#pings.pingSent(now));
    else if (look === "settings") {
      this.#pings.settingsSent(now);
      writer.settings([]);
    }
    this.watch();
  }
}
