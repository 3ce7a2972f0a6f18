import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import type { Health } from "../health/index.ts";

/** The options about health as fields of a schema. */
export const healthFields = () => ({
  health: z.optional(z.custom<Health>((value) => typeof value === "function", "must be a function")),
  healthEverySeconds: z.optional(
    z
      .number("must be a number of seconds")
      .check(z.minimum(0.1, "must be at least 0.1"), z.maximum(86_400, "must be at most 86400")),
  ),
});

/** @throws InvalidOptionError for an interval without a check */
export function resolveHealth(
  what: string,
  { health, healthEverySeconds }: { health?: Health | undefined; healthEverySeconds?: number | undefined },
  ttlSeconds: number,
): { readonly health: Health | undefined; readonly healthEveryMs: number } {
  if (healthEverySeconds !== undefined && !health) {
    throw new InvalidOptionError(what, "healthEverySeconds", "says how often to ask, but there is no health to ask");
  }
  return { health, healthEveryMs: (healthEverySeconds ?? ttlSeconds / 2) * 1_000 };
}
