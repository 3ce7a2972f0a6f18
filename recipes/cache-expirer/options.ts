import * as z from "zod/mini";
import { type CallOptions, InvalidOptionError } from "../../src/index.ts";
import { checkPlainObject, once, parseOptions } from "../../src/internal/index.ts";
import { checkDetachedTtl, checkId, clientField, delimitedPrefix, resolveCall } from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";
import { staysBelow } from "./stays-below.ts";

/**
 * Why an id is to be cleaned. `expired`: it was not touched for `ttlSeconds`. `evicted`: its key was deleted before its
 * time, by `evict()` or by hand. `missing`: it was known here and etcd has no key of it: it ended while no process
 * looked, or etcd was wiped.
 */
export type ExpireReason = "expired" | "evicted" | "missing";

export interface CacheExpirerOptions extends RecipeClientOptions {
  /** How long an id lives after its last touch, in whole seconds, 1 to 8000000000. */
  ttlSeconds: number;
  /**
   * Cleans up what belongs to an id that is gone. When it throws, or its promise rejects, it is called again after a
   * while, unless the id is tracked again meanwhile.
   */
  onExpire: (id: string, reason: ExpireReason) => unknown;
  /**
   * The ids that there are here, for instance the folders on the disk: those that etcd no longer has at the start are
   * cleaned as `missing`. Asked once, before the list is read. @default none
   */
  known?: (() => Iterable<string> | Promise<Iterable<string>>) | undefined;
  /** How many `onExpire` run at a time, each for another id; from 1 to 10000. @default 16 */
  concurrency?: number | undefined;
  /**
   * When this part of all ids is missing at once, or more, they are held back and a `warning` says so: above 0, at
   * most 1; 1 means all of them. What is held back is cleaned when its time would have been over, unless it is tracked
   * again.
   *
   * @default nothing is held back
   */
  maxDropRatio?: number | undefined;
}

const isFunction = (value: unknown) => typeof value === "function";

const schema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      ttlSeconds: z.optional(z.unknown()),
      onExpire: z.custom<CacheExpirerOptions["onExpire"]>(isFunction, "must be a function"),
      known: z.optional(z.custom<NonNullable<CacheExpirerOptions["known"]>>(isFunction, "must be a function")),
      concurrency: z._default(
        z
          .int("must be a whole number")
          .check(z.minimum(1, "must be at least 1"), z.maximum(10_000, "must be at most 10000")),
        16,
      ),
      maxDropRatio: z.optional(
        z.number("must be a number").check(z.gt(0, "must be above 0"), z.maximum(1, "must be at most 1")),
      ),
    },
    "must be an object with ttlSeconds and onExpire",
  ),
);

export interface ResolvedExpirer {
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly onExpire: CacheExpirerOptions["onExpire"];
  readonly known: CacheExpirerOptions["known"];
  readonly concurrency: number;
  readonly maxDropRatio: number | undefined;
  readonly client: RecipeClientOptions["client"];
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveExpirer(prefix: unknown, options: unknown): ResolvedExpirer {
  const what = "CacheExpirer";
  const delimited = delimitedPrefix(what, prefix);
  checkPlainObject(what, "options", options, "an object with ttlSeconds and onExpire");
  const { ttlSeconds, known, maxDropRatio, client, ...given } = parseOptions(what, schema, options);
  if (ttlSeconds === undefined) throw new InvalidOptionError(what, "ttlSeconds", "must be given");
  checkDetachedTtl(what, ttlSeconds);
  return { prefix: delimited, ttlSeconds, known, maxDropRatio, client, ...given };
}

/** @throws InvalidOptionError */
export function resolveIdCall(what: string, id: unknown, options: unknown): CallOptions {
  checkCacheId(what, id);
  return resolveCall(what, options);
}

/** @throws InvalidOptionError for what `onExpire` is never called with */
export function checkCacheId(what: string, id: unknown): asserts id is string {
  checkId(what, id);
  if (!staysBelow(id)) {
    throw new InvalidOptionError(what, "id", 'must not have "." or ".." as a part: used as a path it must stay inside');
  }
}
