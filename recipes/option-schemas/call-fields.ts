import * as z from "zod/mini";
import type { CallOptions } from "../../src/index.ts";
import { LONGEST_DELAY_MS, once, parseOptions } from "../../src/internal/index.ts";

/** What every call takes, as fields of a schema. */
export const callFields = () => ({
  signal: z.optional(z.instanceof(AbortSignal, { error: "must be an AbortSignal" })),
  /** zod's numbers are finite ones. */
  timeoutMs: z.optional(
    z
      .custom<number>((ms) => typeof ms === "number" && !Number.isNaN(ms), {
        error: "must be a number of milliseconds",
        abort: true,
      })
      .check(
        z.refine((ms) => ms > 0, "must be above 0"),
        z.refine(
          (ms) => ms <= LONGEST_DELAY_MS || ms === Number.POSITIVE_INFINITY,
          "must be below 2^31 ms, or Infinity",
        ),
      ),
  ),
});

const schema = once(() => z.strictObject(callFields(), "must be an object"));

/** @throws InvalidOptionError that names the option */
export function resolveCall(what: string, options: unknown): CallOptions {
  return options === undefined ? {} : parseOptions(what, schema, options);
}
