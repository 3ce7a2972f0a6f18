import { oneLine, withoutLength } from "../errors/one-line.ts";
import type { Clock } from "./clock.ts";
import { log } from "./log.ts";

const debug = log("warning");

/** The same warning is printed no more often than this. */
const SAME_AGAIN_MS = 60_000;
/** Of more different messages the oldest are forgotten. */
const MOST_REMEMBERED = 100;
/** A stack begins with the message, which others may have written: a name of 64 kB fills a log. */
const LONGEST_STACK = 10_000;

/**
 * Warnings that no listener takes, as warnings of the process: Node prints them, with the stack of what was thrown. The
 * same message comes once a minute at most, so that an outage does not flood the log.
 */
export class ProcessWarnings {
  readonly #clock: Clock;
  readonly #emittedMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  emit(error: Error): void {
    const nowMs = this.#clock.monotonicMs();
    const message = oneLine(String(error.message));
    const lastMs = this.#emittedMs.get(message);
    if (lastMs !== undefined && nowMs - lastMs < SAME_AGAIN_MS) return;
    // Anew, so that the oldest is the first.
    this.#emittedMs.delete(message);
    this.#emittedMs.set(message, nowMs);
    const [oldest] = this.#emittedMs.keys();
    if (this.#emittedMs.size > MOST_REMEMBERED && oldest !== undefined) this.#emittedMs.delete(oldest);
    try {
      const { code } = error as { code?: unknown };
      process.emitWarning(message, {
        type: error.name,
        detail: stackOf(error),
        ...(typeof code === "string" && { code }),
      });
    } catch (failure) {
      // Such as a name that is not a string.
      debug("not emitted: %s", String(failure));
    }
  }
}

/** Of what was thrown by others, if an error of ours is about that. */
function stackOf(error: Error): string {
  const { stack } = error.cause instanceof Error ? error.cause : error;
  return withoutLength(typeof stack === "string" ? stack : String(error), LONGEST_STACK);
}
