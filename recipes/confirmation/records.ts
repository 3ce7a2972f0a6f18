import * as z from "zod/mini";
import type { KeyValue } from "../../src/index.ts";
import { once } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { ConfirmationResult } from "./confirmation-result.ts";

/** The value of `<id>/request`. Both times are milliseconds since the epoch, by the clock of the requester. */
export interface RequestRecord {
  readonly requestedAt: number;
  readonly deadline: number;
}

/** The value of `<id>/decision`. */
export interface DecisionRecord extends ConfirmationResult {
  readonly decidedAt: number;
  /** Distinguishes the own write, whose answer was lost, from that of others. */
  readonly nonce: string;
}

// Fields that we do not know are a newer version's.
const requestSchema = once(() => z.object({ requestedAt: z.number(), deadline: z.number() }));

const decisionSchema = once(() =>
  z.object({
    decision: z.enum(["approved", "rejected", "timeout"]),
    by: z.optional(z.string()),
    reason: z.optional(z.string()),
    decidedAt: z.optional(z.number()),
    nonce: z.optional(z.string()),
  }),
);

/** @throws InvalidValueError, without showing the value */
export function readRequest(kv: KeyValue): RequestRecord {
  return read(kv, requestSchema);
}

/** @throws InvalidValueError, without showing the value */
export function readDecision(kv: KeyValue): {
  readonly result: ConfirmationResult;
  readonly nonce: string | undefined;
} {
  const { decision, by, reason, nonce } = read(kv, decisionSchema);
  const result = Object.freeze({ decision, ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) });
  return { result, nonce };
}

function read<T>({ key, text }: KeyValue, schema: () => z.ZodMiniType<T>): T {
  try {
    return schema().parse(JSON.parse(text));
  } catch (cause) {
    const field = cause instanceof z.core.$ZodError ? cause.issues[0]?.path.map(String).join(".") : "";
    throw new InvalidValueError(`${key} is not as a confirmation writes it${field ? `: look at ${field}` : ""}`);
  }
}
