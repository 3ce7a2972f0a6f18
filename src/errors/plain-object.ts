import { InvalidOptionError } from "./invalid-option-error.ts";
import { shownUrl } from "./shown.ts";

/** Whether it is an object of names and values and nothing else: neither a list nor an instance of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Or one of another realm, such as a test runner's.
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * A promise, a list or a client has no option's name, and would be taken for options that are all left out.
 *
 * @throws InvalidOptionError
 */
export function checkPlainObject(
  what: string,
  option: string,
  value: unknown,
  allowed = "a plain object",
): asserts value is Record<string, unknown> {
  if (isPlainObject(value)) return;
  throw new InvalidOptionError(what, option, `must be ${allowed}, not ${shownUrl(value)}${unawaited(value)}`);
}

/** For the end of a message about a value that is a promise of one. */
export function unawaited(value: unknown): string {
  return value instanceof Promise ? ": await it first" : "";
}
