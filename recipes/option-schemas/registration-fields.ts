import * as z from "zod/mini";

/** What a registration says of itself, and what it does when another process has its key, as fields of a schema. */
export const registrationFields = () => ({
  metadata: z.optional(z.record(z.string(), z.unknown(), "must be a plain object")),
  weight: z.optional(
    z
      .number("must be a number")
      .check(z.minimum(0, "must be at least 0"), z.maximum(Number.MAX_SAFE_INTEGER, "must be finite")),
  ),
  /** Checked by the room that knows the formats. */
  format: z.optional(z.unknown()),
  onConflict: z.optional(z.enum(["replace", "wait", "error"], 'must be "replace", "wait" or "error"')),
});

export const foreignFormatsField = () =>
  z.optional(z.enum(["warn", "error", "ignore"], 'must be "warn", "error" or "ignore"'));
