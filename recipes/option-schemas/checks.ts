import { InvalidOptionError } from "../../src/index.ts";
import { isWellFormed, notWellFormed, shown } from "../../src/internal/index.ts";

/** etcd's own limit (lease/lessor.go). */
const LARGEST_TTL_SECONDS = 9_000_000_000;
/** Detached leases are shared, and so granted for a 32nd more than the TTL of their keys. */
export const LARGEST_DETACHED_TTL_SECONDS = 8_000_000_000;
/** A key stands up to ten times in one request, and etcd takes 1.5 MiB in one. */
const LONGEST_KEY_BYTES = 64 * 1024;

/** @throws InvalidOptionError unless `key` is a non-empty string, well-formed and without a trailing slash */
export function checkKey(what: string, key: unknown): asserts key is string {
  if (typeof key !== "string") throw new InvalidOptionError(what, "key", `must be a string, not ${shown(key)}`);
  if (key === "") throw new InvalidOptionError(what, "key", "must not be empty");
  checkWellFormed(what, key, "key");
  checkLength(what, key, "key");
  if (key.endsWith("/")) {
    throw new InvalidOptionError(
      what,
      "key",
      "must not end with a slash: that is the prefix; put the name of this instance behind it",
    );
  }
}

/** @throws InvalidOptionError unless it is a whole number of seconds that etcd takes */
export function checkTtlSeconds(
  what: string,
  ttlSeconds: unknown,
  option = "ttlSeconds",
  largest = LARGEST_TTL_SECONDS,
): asserts ttlSeconds is number {
  if (Number.isInteger(ttlSeconds) && (ttlSeconds as number) >= 1 && (ttlSeconds as number) <= largest) return;
  throw new InvalidOptionError(
    what,
    option,
    `must be a whole number of seconds from 1 to ${largest}, not ${shown(ttlSeconds)}`,
  );
}

/**
 * @param parts into how many options the TTL is split: the lease lives for all of them
 * @throws InvalidOptionError unless etcd takes the lease that it comes to
 */
export function checkDetachedTtl(
  what: string,
  ttlSeconds: unknown,
  option = "ttlSeconds",
  parts = 1,
): asserts ttlSeconds is number {
  checkTtlSeconds(what, ttlSeconds, option, LARGEST_DETACHED_TTL_SECONDS / parts);
}

/** @throws InvalidOptionError for what would not fit into a request as often as it has to stand in it */
export function checkLength(what: string, text: string, option: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= LONGEST_KEY_BYTES) return;
  throw new InvalidOptionError(what, option, `must be at most ${LONGEST_KEY_BYTES} bytes, not ${bytes}`);
}

/**
 * Reads `/svc` as `/svc/`, so that `/svc2/a` is no neighbour.
 *
 * @throws InvalidOptionError for an empty prefix, and for one that is not well-formed
 */
export function delimitedPrefix(what: string, prefix: unknown): string {
  if (typeof prefix !== "string")
    throw new InvalidOptionError(what, "prefix", `must be a string, not ${shown(prefix)}`);
  if (prefix === "")
    throw new InvalidOptionError(what, "prefix", "must not be empty: that would be every key there is");
  checkWellFormed(what, prefix, "prefix");
  checkLength(what, prefix, "prefix");
  return prefix.endsWith("/") ? prefix : `${prefix}/`;
}

/**
 * The name of an election, a lock or a queue.
 *
 * @throws InvalidOptionError unless `name` is a non-empty string, well-formed and without a trailing slash
 */
export function checkName(what: string, name: unknown): asserts name is string {
  if (typeof name !== "string") throw new InvalidOptionError(what, "name", `must be a string, not ${shown(name)}`);
  if (name === "") throw new InvalidOptionError(what, "name", "must not be empty");
  checkWellFormed(what, name, "name");
  checkLength(what, name, "name");
  if (name.endsWith("/")) {
    throw new InvalidOptionError(
      what,
      "name",
      `must not end with a slash: etcdctl and Go's client put one behind it, so ${name} and ${name.replace(/\/+$/, "")} would be two different ones`,
    );
  }
}

/**
 * What stands behind a prefix.
 *
 * @throws InvalidOptionError unless `id` is a non-empty string without a leading slash, and the text of one key: what
 *   is not well-formed, many ids come to
 */
export function checkId(what: string, id: unknown, option = "id"): asserts id is string {
  checkFoundId(what, id, option);
  checkLength(what, id, option);
  if (id.startsWith("/")) {
    throw new InvalidOptionError(what, option, "must not begin with a slash: the prefix ends with one");
  }
}

/**
 * What was found behind a prefix, by whichever writer: also an id that none of ours begins with.
 *
 * @throws InvalidOptionError unless `id` is a non-empty string and the text of one key
 */
export function checkFoundId(what: string, id: unknown, option = "id"): asserts id is string {
  if (typeof id !== "string") throw new InvalidOptionError(what, option, `must be a string, not ${shown(id)}`);
  if (id === "") throw new InvalidOptionError(what, option, "must not be empty");
  checkWellFormed(what, id, option);
}

/**
 * A lone surrogate is written as U+FFFD, as are bytes that were no UTF-8 when they became text: many texts come to one
 * key then, and readers leave such keys alone.
 *
 * @throws InvalidOptionError unless it is the text of one key
 */
function checkWellFormed(what: string, text: string, option: string): void {
  if (/[\p{Cs}\ufffd]/u.test(text))
    throw new InvalidOptionError(what, option, "must be well-formed text without U+FFFD");
}

/** @throws InvalidOptionError unless it is a function */
export function checkCallable(what: string, called: unknown, option: string): void {
  if (typeof called === "function") return;
  throw new InvalidOptionError(what, option, `must be a function, not ${shown(called)}`);
}

/** @throws InvalidOptionError unless it is a string */
export function checkText(what: string, text: unknown, option: string): asserts text is string {
  if (typeof text !== "string") throw new InvalidOptionError(what, option, `must be a string, not ${shown(text)}`);
}

/**
 * What becomes a value as it is. The layer below would refuse it as well, but by the name of its own call, and later.
 *
 * @throws InvalidOptionError unless it is a string of which other strings do not come to the same value
 */
export function checkValue(what: string, value: unknown, option = "value"): asserts value is string {
  checkText(what, value, option);
  if (!isWellFormed(value)) throw new InvalidOptionError(what, option, notWellFormed);
}
