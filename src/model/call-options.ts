import { type OptionCheck, optionsOf } from "../errors/check-options.ts";
import { LONGEST_DELAY_MS } from "../errors/limits.ts";

/** What every call takes. */
export interface CallOptions {
  /**
   * Ends the call: it rejects with `signal.reason`. What was sent is not taken back, so the outcome of an aborted write
   * is unknown.
   */
  signal?: AbortSignal | undefined;
  /**
   * The call fails after this many milliseconds: above 0, below 2^31, or Infinity.
   *
   * @default the client's requestTimeoutMs
   */
  timeoutMs?: number | undefined;
}

export const signalCheck: OptionCheck = {
  allowed: "an AbortSignal",
  holds: (value) => value instanceof AbortSignal,
};

export const callChecks = {
  signal: signalCheck,
  timeoutMs: { allowed: "above 0 and below 2^31 ms, or Infinity", holds: isTimeout },
} satisfies Record<keyof CallOptions, OptionCheck>;

/** Of a call that takes nothing else. */
export function callOptionsOf(what: string): (options: unknown) => void {
  return optionsOf(what, callChecks);
}

function isTimeout(timeoutMs: unknown): boolean {
  if (typeof timeoutMs !== "number") return false;
  return timeoutMs > 0 && (timeoutMs <= LONGEST_DELAY_MS || timeoutMs === Number.POSITIVE_INFINITY);
}
