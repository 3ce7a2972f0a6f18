import { inspect } from "node:util";
import { InvalidOptionError } from "../../recipes/index.ts";

/**
 * A promise, a list or a client has no option's name, and would be taken for options that are all left out.
 *
 * @throws InvalidOptionError unless it is an object of names and values and nothing else
 */
export function checkObject(
  what: string,
  option: string,
  value: unknown,
  allowed = "a plain object",
): asserts value is Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    // Or one of another realm, such as a test runner's.
    if (prototype === null || Object.getPrototypeOf(prototype) === null) return;
  }
  throw new InvalidOptionError(what, option, `must be ${allowed}, not ${shown(value)}`);
}

/** More than a host and a port, a path, a name or a bare scheme: it may be a URL with a password, or PEM. */
const mayHoldSecret = /:(?!(\/\/|\d{1,5})?$)|[@?#\r\n]/;

/** Of an object, and of what may be a URL with a password, no more than its kind, as it may hold what no log may. */
export function shown(value: unknown): string {
  if (typeof value === "string" && mayHoldSecret.test(value)) return "a string";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Promise) return "a Promise: await it first";
  return typeof value === "object" && value !== null ? "an object" : inspect(value);
}
