import { z } from "zod";
import { type CallOptions, InvalidOptionError } from "../../src/index.ts";
import { parseOptions } from "../../src/internal/index.ts";
import {
  checkId,
  checkTtlSeconds,
  clientProblem,
  delimitedPrefix,
  looksLikeClient,
  type RecipeClientOptions,
} from "../common/index.ts";

/** Options of a Cancellation. All may be left out. */
export interface CancellationOptions extends RecipeClientOptions {
  /**
   * How long etcd keeps a cancellation that this object makes, in whole seconds; at least 1. Longer than any run lasts, and
   * than any process that runs it can be out of etcd's reach. @default 86400, a day
   */
  ttlSeconds?: number | undefined;
}

const schema = z.strictObject(
  {
    client: z.custom<RecipeClientOptions["client"]>(looksLikeClient, clientProblem).optional(),
    ttlSeconds: z.unknown().optional(),
  },
  "must be an object",
);

const callSchema = z.strictObject(
  {
    signal: z.instanceof(AbortSignal, { error: "must be an AbortSignal" }).optional(),
    timeoutMs: z.number("must be a number of milliseconds").positive("must be above 0").optional(),
  },
  "must be an object",
);

export interface ResolvedCancellation {
  readonly prefix: string;
  readonly ttlSeconds: number;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveCancellation(prefix: unknown, options: unknown): ResolvedCancellation {
  const what = "Cancellation";
  const { ttlSeconds = 86_400 } = parseOptions(what, schema, options ?? {});
  checkTtlSeconds(what, ttlSeconds);
  return { prefix: delimitedPrefix(what, prefix), ttlSeconds };
}

/** @throws InvalidOptionError that names the option */
export function resolveCall(what: string, options: unknown): CallOptions {
  return parseOptions(what, callSchema, options ?? {});
}

/** @throws InvalidOptionError unless it is the text of one key: what is not well-formed, many ids come to */
export function checkTextId(what: string, id: unknown, option = "id"): asserts id is string {
  checkId(what, id, option);
  if (/[\p{Cs}\ufffd]/u.test(id)) throw new InvalidOptionError(what, option, "must be well-formed text without U+FFFD");
}

/** @throws InvalidOptionError unless it is a string */
export function checkText(what: string, text: unknown, option: string): asserts text is string {
  if (typeof text !== "string") throw new InvalidOptionError(what, option, `must be a string, not ${typeof text}`);
}
