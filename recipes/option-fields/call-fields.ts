import { z } from "zod";
import type { CallOptions } from "../../src/index.ts";
import { parseOptions } from "../../src/internal/index.ts";

/** What every call takes, as fields of a schema. */
export const callFields = {
  signal: z.instanceof(AbortSignal, { error: "must be an AbortSignal" }).optional(),
  timeoutMs: z.number("must be a number of milliseconds").positive("must be above 0").optional(),
};

const schema = z.strictObject(callFields, "must be an object");

/** @throws InvalidOptionError that names the option */
export function resolveCall(what: string, options: unknown): CallOptions {
  return options === undefined ? {} : parseOptions(what, schema, options);
}
