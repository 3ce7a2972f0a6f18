import * as z from "zod/mini";
import { type CallOptions, InvalidOptionError } from "../../src/index.ts";
import { once, parseOptions } from "../../src/internal/index.ts";
import {
  callFields,
  checkCallable,
  checkDetachedTtl,
  checkFoundId,
  checkLength,
  checkValue,
  clientField,
  delimitedPrefix,
  resolveCall,
} from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";

/** Called with a key that was put. `id` is the key without the prefix: whatever others wrote, also `../..`. */
export type OnPut = (id: string, value: string) => unknown;

/**
 * Called with a key that is gone, with its `id` as for `OnPut`: check it before it becomes a path. `last` is the value
 * that it had when it was last seen.
 */
export type OnDelete = (id: string, last?: string) => unknown;

/** Options of `Storage.watch()`. All may be left out. */
export interface StorageWatchOptions {
  /** What to do with the keys that are there at the start: nothing, or `onPut` for each. @default "none" */
  initial?: "none" | "replay" | undefined;
  /** How many callbacks run at a time, each for another id; from 1 to 10000. @default 16 */
  concurrency?: number | undefined;
  /** Closes the watch; `ready` rejects with `signal.reason` if it was still waiting. */
  signal?: AbortSignal | undefined;
}

export interface StoragePutOptions extends CallOptions {
  /** The key is deleted so many whole seconds after its last put or touch, 1 to 8000000000. @default never */
  ttlSeconds?: number | undefined;
}

export interface StorageTouchOptions extends CallOptions {
  /** How long it is to live from now on, in whole seconds, 1 to 8000000000. @default the time that it was put with */
  ttlSeconds?: number | undefined;
}

const watchSchema = once(() =>
  z.strictObject(
    {
      initial: z._default(z.enum(["none", "replay"], 'must be "none" or "replay"'), "none"),
      concurrency: z._default(
        z
          .int("must be a whole number")
          .check(z.minimum(1, "must be at least 1"), z.maximum(10_000, "must be at most 10000")),
        16,
      ),
      signal: callFields().signal,
    },
    "must be an object",
  ),
);

const writeSchema = once(() =>
  z.strictObject({ ttlSeconds: z.optional(z.unknown()), ...callFields() }, "must be an object"),
);
const storageSchema = once(() => z.strictObject({ client: clientField() }, "must be an object"));

export interface ResolvedWatch {
  readonly prefix: string;
  readonly initial: "none" | "replay";
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws InvalidOptionError that names the option */
export function resolveStorage(options: unknown): RecipeClientOptions {
  return parseOptions("Storage", storageSchema, options);
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveWatch(prefix: unknown, onPut: unknown, onDelete: unknown, options: unknown): ResolvedWatch {
  const what = "Storage.watch";
  const delimited = delimitedPrefix(what, prefix);
  checkCallable(what, onPut, "onPut");
  checkCallable(what, onDelete, "onDelete");
  const { initial, concurrency, signal } = parseOptions(what, watchSchema, options);
  return { prefix: delimited, initial, concurrency, signal };
}

export interface ResolvedWrite extends CallOptions {
  readonly ttlSeconds: number | undefined;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveWrite(what: string, key: unknown, value: unknown, options: unknown): ResolvedWrite {
  const resolved = resolveTouch(what, key, options);
  checkValue(what, value);
  checkLength(what, key as string, "key");
  return resolved;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveTouch(what: string, key: unknown, options: unknown): ResolvedWrite {
  checkStorageKey(what, key);
  const { ttlSeconds, ...call } = parseOptions(what, writeSchema, options);
  if (ttlSeconds !== undefined) checkDetachedTtl(what, ttlSeconds);
  return { ttlSeconds: ttlSeconds as number | undefined, ...call };
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveKeyCall(what: string, key: unknown, options: unknown): CallOptions {
  checkStorageKey(what, key);
  return resolveCall(what, options);
}

function checkStorageKey(what: string, key: unknown): asserts key is string {
  checkFoundId(what, key, "key");
  if (key.endsWith("/")) {
    throw new InvalidOptionError(what, "key", "must not end with a slash: behind the prefix comes an id, not nothing");
  }
}
