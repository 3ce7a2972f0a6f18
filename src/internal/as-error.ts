import { inspect } from "node:util";

/** What was thrown, as an Error: not everything can be turned into a string. */
export function asError(cause: unknown): Error {
  // A message that is not a string would throw where it is printed.
  if (cause instanceof Error && typeof cause.message === "string") return cause;
  return new Error(typeof cause === "string" ? cause : inspect(cause), { cause });
}
