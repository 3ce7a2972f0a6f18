import { UnavailableError } from "../../errors/unavailable-error.ts";

interface TlsErrorDetails {
  readonly cause?: unknown;
  /** An earlier attempt of the call may have been executed. */
  readonly outcomeUnknown?: boolean | undefined;
  /** The part of our own that cannot be used. */
  readonly part?: "ca" | "cert" | "key" | undefined;
  readonly problem?: string | undefined;
}

/**
 * A connection that cannot be secured, by what is wrong here or there. A call does not wait for it to become better: it
 * fails as soon as every endpoint has failed like this. A caller that retries may go on, for files and servers'
 * certificates are replaced.
 */
export class TlsError extends UnavailableError {
  readonly part: "ca" | "cert" | "key" | undefined;
  readonly problem: string | undefined;

  constructor(message: string, { cause, outcomeUnknown, part, problem }: TlsErrorDetails = {}) {
    super(message, { cause, outcomeUnknown, retryable: true });
    this.part = part;
    this.problem = problem;
  }
}
