import { inspect } from "node:util";
import { EtcdClient, InvalidOptionError } from "../../recipes/index.ts";

/**
 * A promise, a list or a client has no option's name, and would be taken for options that are all left out.
 *
 * @throws InvalidOptionError unless it is an object of names and values, which may be an instance of a class of the
 *   user's, such as a typed configuration
 */
export function checkObject(
  what: string,
  option: string,
  value: unknown,
  allowed = "a plain object",
): asserts value is Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && isOptions(value)) return;
  throw new InvalidOptionError(what, option, `must be ${allowed}, not ${shown(value)}`);
}

function isOptions(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value);
  // Or one of another realm, such as a test runner's.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return true;
  // What is built in, such as a Map or a Promise, has another tag.
  if (Object.prototype.toString.call(value) !== "[object Object]" || "then" in value) return false;
  if (value instanceof EtcdClient) return false;
  // Only own properties are taken; without any it may be options that are all left out, but not a thing that does work.
  return Object.keys(value).length > 0 || hasNothingButConstructors(prototype);
}

function hasNothingButConstructors(prototype: object): boolean {
  const next: object | null = Object.getPrototypeOf(prototype);
  if (next === null) return true;
  return Reflect.ownKeys(prototype).every((name) => name === "constructor") && hasNothingButConstructors(next);
}

/** More than a host and a port, a path, a name or a bare scheme: it may be a URL with a password, or PEM. */
const mayHoldSecret = /:(?!(\/\/|\d{1,5})?$)|[@?#\r\n]/;

/** Of an object, and of what may be a URL with a password, no more than its kind, as it may hold what no log may. */
export function shown(value: unknown): string {
  if (typeof value === "string" && mayHoldSecret.test(value)) return "a string";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Promise) return "a Promise: await it first";
  return typeof value === "object" && value !== null ? `an object${ofClass(value)}` : inspect(value);
}

function ofClass(value: object): string {
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name === "string" && name !== "" && name !== "Object" ? ` of the class ${name}` : "";
}
