import type { EtcdErrorCode } from "./error-codes.ts";
import { oneLine } from "./one-line.ts";

export interface EtcdErrorDetails {
  /** The error underneath, if there is one. */
  cause?: unknown;
  /** True when the same call may succeed later without anything being changed. @default false */
  retryable?: boolean;
  /** True when a write may have been applied although it failed. @default false */
  outcomeUnknown?: boolean;
}

/** The root of all errors that this package throws, except for the reasons of callers' own abort signals. */
export abstract class EtcdError extends Error {
  /** Which error this is: stable, meant for code to branch on. */
  abstract readonly code: EtcdErrorCode;
  /** True when the same call may succeed later without anything being changed. */
  readonly retryable: boolean;
  /** True when a write may have been applied although it failed: read before writing again. */
  readonly outcomeUnknown: boolean;

  /** @param message written as one line: what is in it of keys and of other people's words is escaped */
  constructor(message: string, details: EtcdErrorDetails = {}) {
    super(oneLine(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.retryable = details.retryable ?? false;
    this.outcomeUnknown = details.outcomeUnknown ?? false;
  }

  /**
   * What `JSON.stringify` writes: also the message, which it leaves out of other errors. Neither the stack nor the
   * cause.
   */
  toJSON(): object {
    const { name, code, message } = this;
    return Object.assign({ name, code, message }, this);
  }
}
