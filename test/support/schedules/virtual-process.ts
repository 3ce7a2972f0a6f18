import type { Clock, Timer } from "../../../src/internal/index.ts";
import type { VirtualTime } from "./virtual-time.ts";

const EPOCH_MS = 1_700_000_000_000;
/** Two things on one way are never at the same moment. */
export const APART_MS = 0.001;
/** A process that goes on has done all that was due by then. */
const GOES_ON_MS = 10;

/**
 * A process as time goes: it can be stopped and goes on later, and then everything that was due meanwhile happens at
 * once, in any order. Its clocks go on while it stands still, as they do after SIGSTOP.
 */
export class VirtualProcess {
  readonly clock: Clock;
  readonly #time: VirtualTime;
  readonly #random: () => number;
  #pausedFromMs = 0;
  #pausedUntilMs = 0;
  #ended = false;

  constructor(time: VirtualTime, random: () => number) {
    this.#time = time;
    this.#random = random;
    const nowMs = () => time.nowMs;
    this.clock = {
      monotonicMs: nowMs,
      elapsedMs: nowMs,
      wallMs: () => EPOCH_MS + time.nowMs,
      timer: (delayMs, callback) => this.#timer(delayMs, callback),
    };
  }

  get isPaused(): boolean {
    return this.#time.nowMs < this.#pausedUntilMs;
  }

  /** Nothing happens in it any more, as after SIGKILL. */
  kill(): void {
    this.#ended = true;
  }

  get isKilled(): boolean {
    return this.#ended;
  }

  /** How long it stood still, if it goes on just now: then it hears what came meanwhile. */
  get stoodStillMs(): number {
    return this.#time.nowMs - this.#pausedUntilMs < GOES_ON_MS ? this.#time.nowMs - this.#pausedFromMs : 0;
  }

  pause(ms: number): void {
    if (this.stoodStillMs === 0) this.#pausedFromMs = this.#time.nowMs;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#time.nowMs + ms);
  }

  /** Lets something happen in this process, or lets it wait until the process goes on. */
  run(happen: () => void): void {
    if (this.#ended) return;
    if (!this.isPaused) happen();
    else this.#time.after(this.#pausedUntilMs - this.#time.nowMs + this.#random(), () => this.run(happen));
  }

  /** Lets things happen in the order in which they come, also those that have to wait: what comes by one socket. */
  lane(): (happen: () => void) => void {
    const waiting: (() => void)[] = [];
    let going = false;
    const next = () => {
      waiting.shift()?.();
      going = waiting.length > 0;
      if (going) this.#time.after(APART_MS, () => this.run(next));
    };
    return (happen) => {
      waiting.push(happen);
      if (going) return;
      going = true;
      this.run(next);
    };
  }

  #timer(delayMs: number, callback: () => void): Timer {
    let cancelled = false;
    const timer = this.#time.after(delayMs, () =>
      this.run(() => {
        if (!cancelled) callback();
      }),
    );
    const own: Timer = {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
      unref: () => own,
    };
    return own;
  }
}
