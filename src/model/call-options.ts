import { InvalidOptionError } from "../errors/invalid-option-error.ts";

/** What every call takes. */
export interface CallOptions {
  /**
   * Ends the call: it rejects with `signal.reason`. What was sent is not taken back, so the outcome of an aborted write
   * is unknown.
   */
  signal?: AbortSignal | undefined;
  /** The call fails after this many milliseconds: above 0, below 2^31, or Infinity. @default the client's requestTimeoutMs */
  timeoutMs?: number | undefined;
}

/** gRPC throws at a deadline that is too far away, where nobody can catch it. */
const LARGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** @throws InvalidOptionError */
export function checkCallOptions(options: CallOptions | undefined): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) {
    throw new InvalidOptionError("call", "options", "must be an object");
  }
  const { signal, timeoutMs } = options;
  if (timeoutMs !== undefined && !isTimeout(timeoutMs)) {
    throw new InvalidOptionError("call", "timeoutMs", `must be above 0 and below 2^31 ms, not ${shown(timeoutMs)}`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidOptionError("call", "signal", "must be an AbortSignal");
  }
}

/** A value that should have been another, for a message: not everything can be turned into text. */
export function shown(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `what is no text, but a ${typeof value}`;
  }
}

function isTimeout(timeoutMs: unknown): boolean {
  if (typeof timeoutMs !== "number") return false;
  return timeoutMs > 0 && (timeoutMs <= LARGEST_TIMEOUT_MS || timeoutMs === Number.POSITIVE_INFINITY);
}
