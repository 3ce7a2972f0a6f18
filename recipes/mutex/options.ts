import * as z from "zod/mini";
import { once, parseOptions } from "../../src/internal/index.ts";
import { callFields, checkCallable, checkName, checkTtlSeconds, clientField } from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";

/** Options of a Mutex. All may be left out. */
export interface MutexOptions extends RecipeClientOptions {
  /**
   * How long the key of a dead holder stands in the way of the others, in whole seconds, 1 to 9000000000. A minimum: a
   * leader change in etcd gives a lease its whole TTL again.
   *
   * @default 60
   */
  ttlSeconds?: number | undefined;
}

export interface AcquireOptions {
  /** Ends the wait with its reason. What was acquired stays acquired. */
  signal?: AbortSignal | undefined;
  /**
   * The wait ends with an EtcdTimeoutError after this many milliseconds: above 0, below 2^31, or `Infinity`.
   *
   * @default it waits as long as it takes
   */
  timeoutMs?: number | undefined;
}

export interface TryAcquireOptions {
  /** Ends the attempt with its reason. */
  signal?: AbortSignal | undefined;
}

export interface ResolvedMutex {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly client: RecipeClientOptions["client"];
}

const optionsSchema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      // Checked by checkTtlSeconds, as everywhere.
      ttlSeconds: z.optional(z.unknown()),
    },
    "must be an object",
  ),
);

const acquireSchema = once(() => z.strictObject(callFields(), "must be an object"));
const trySchema = once(() => z.strictObject({ signal: callFields().signal }, "must be an object"));

const DEFAULT_TTL_SECONDS = 60;

/** @throws InvalidOptionError that names the argument or option */
export function resolveMutex(name: unknown, options: unknown): ResolvedMutex {
  const what = "Mutex";
  checkName(what, name);
  const { ttlSeconds = DEFAULT_TTL_SECONDS, client } = parseOptions(what, optionsSchema, options);
  checkTtlSeconds(what, ttlSeconds);
  return { name, ttlSeconds, client };
}

/** @throws InvalidOptionError */
export function resolveAcquire(options: unknown): AcquireOptions {
  return parseOptions("Mutex.acquire", acquireSchema, options);
}

/** @throws InvalidOptionError */
export function resolveTry(options: unknown): TryAcquireOptions {
  return parseOptions("Mutex.tryAcquire", trySchema, options);
}

/** @throws InvalidOptionError */
export function resolveRun(work: unknown, options: unknown): AcquireOptions {
  const what = "Mutex.run";
  checkCallable(what, work, "work");
  return parseOptions(what, acquireSchema, options);
}
