import { inspect } from "node:util";
import {
  ClientClosedError,
  EtcdError,
  InvalidOptionError,
  PermissionDeniedError,
  RequestRefusedError,
  UnauthenticatedError,
} from "../../src/index.ts";

/** Whether trying again can help. What cannot be mended by waiting ends a recipe; everything else is retried for ever. */
export function isMendable(error: unknown): boolean {
  return (
    error instanceof EtcdError &&
    !(
      error instanceof PermissionDeniedError ||
      error instanceof UnauthenticatedError ||
      error instanceof ClientClosedError ||
      error instanceof InvalidOptionError ||
      error instanceof RequestRefusedError
    )
  );
}

/** What was thrown as an error, whatever it is: not everything can be turned into a string. */
export function asError(cause: unknown): Error {
  // A message that is no text would throw where it is told.
  if (cause instanceof Error && typeof cause.message === "string") return cause;
  return new Error(typeof cause === "string" ? cause : inspect(cause), { cause });
}
