import * as z from "zod/mini";
import { once, parseOptions } from "../../src/internal/index.ts";
import { checkDetachedTtl, clientField, delimitedPrefix } from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";

/** Options of a Cancellation. All may be left out. */
export interface CancellationOptions extends RecipeClientOptions {
  /**
   * How long etcd keeps a cancellation that this object makes, in whole seconds, 1 to 8000000000. Longer than any run
   * lasts, and than any process that runs it can be out of etcd's reach. @default 86400, a day
   */
  ttlSeconds?: number | undefined;
}

const schema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      ttlSeconds: z.optional(z.unknown()),
    },
    "must be an object",
  ),
);

export interface ResolvedCancellation {
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly client: RecipeClientOptions["client"];
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveCancellation(prefix: unknown, options: unknown): ResolvedCancellation {
  const what = "Cancellation";
  const { ttlSeconds = 86_400, client } = parseOptions(what, schema, options);
  checkDetachedTtl(what, ttlSeconds);
  return { prefix: delimitedPrefix(what, prefix), ttlSeconds, client };
}
