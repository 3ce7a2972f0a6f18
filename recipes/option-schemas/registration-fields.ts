import { z } from "zod";

/** What a registration says of itself, and what it does when another process has its key, as fields of a schema. */
export const registrationFields = {
  metadata: z.record(z.string(), z.unknown(), "must be a plain object").optional(),
  weight: z
    .number("must be a number")
    .min(0, "must be at least 0")
    .max(Number.MAX_SAFE_INTEGER, "must be finite")
    .optional(),
  /** Checked by the room that knows the formats. */
  format: z.unknown().optional(),
  onConflict: z.enum(["replace", "wait", "error"], 'must be "replace", "wait" or "error"').optional(),
};
