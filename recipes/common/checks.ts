import { InvalidOptionError } from "../../src/index.ts";

/** @throws InvalidOptionError unless `key` is a non-empty string without a trailing slash */
export function checkKey(what: string, key: unknown): asserts key is string {
  if (typeof key !== "string") throw new InvalidOptionError(what, "key", `must be a string, not ${typeof key}`);
  if (key === "") throw new InvalidOptionError(what, "key", "must not be empty");
  if (key.endsWith("/")) {
    throw new InvalidOptionError(
      what,
      "key",
      "must not end with a slash: that is a prefix, and the name of the instance is missing",
    );
  }
}

/** @throws InvalidOptionError unless it is a whole number of seconds from 1 up */
export function checkTtlSeconds(
  what: string,
  ttlSeconds: unknown,
  option = "ttlSeconds",
): asserts ttlSeconds is number {
  if (Number.isInteger(ttlSeconds) && (ttlSeconds as number) >= 1 && (ttlSeconds as number) <= 9_000_000_000) return;
  throw new InvalidOptionError(
    what,
    option,
    `must be a whole number of seconds, at least 1, not ${String(ttlSeconds)}`,
  );
}

/**
 * Reads `/svc` as `/svc/`, so that `/svc2/a` is no neighbour.
 *
 * @throws InvalidOptionError for an empty prefix
 */
export function delimitedPrefix(what: string, prefix: unknown): string {
  if (typeof prefix !== "string")
    throw new InvalidOptionError(what, "prefix", `must be a string, not ${typeof prefix}`);
  if (prefix === "")
    throw new InvalidOptionError(what, "prefix", "must not be empty: that would be every key there is");
  return prefix.endsWith("/") ? prefix : `${prefix}/`;
}
