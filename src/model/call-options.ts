import { InvalidOptionError } from "../errors/invalid-option-error.ts";

/** What every call takes. */
export interface CallOptions {
  /**
   * Ends the call: it rejects with `signal.reason`. What was sent is not taken back, so the outcome of an aborted write
   * is unknown.
   */
  signal?: AbortSignal | undefined;
  /** The call fails after this many milliseconds. @default the client's requestTimeoutMs */
  timeoutMs?: number | undefined;
}

/** @throws InvalidOptionError */
export function checkCallOptions(options: CallOptions | undefined): void {
  if (options === undefined) return;
  const { signal, timeoutMs } = options;
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0)) {
    throw new InvalidOptionError("call", "timeoutMs", `must be above 0, not ${String(timeoutMs)}`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidOptionError("call", "signal", "must be an AbortSignal");
  }
}
