import * as z from "zod/mini";
import { type CallOptions, InvalidOptionError } from "../../src/index.ts";
import { once, parseOptions } from "../../src/internal/index.ts";
import {
  checkDetachedTtl,
  checkId,
  checkText,
  clientField,
  delimitedPrefix,
  resolveCall,
} from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";
import type { ConfirmationResult } from "./confirmation-result.ts";

/** Options of a Confirmation. All may be left out. */
export interface ConfirmationOptions extends RecipeClientOptions {
  /**
   * How long etcd keeps a decision, and a request after its deadline, in whole seconds, 1 to 4000000000. Longer than a
   * requester is ever away. @default 86400, a day
   */
  retainSeconds?: number | undefined;
}

export interface ConfirmationRequestOptions {
  /** How long others have to decide, in whole seconds, 1 to 4000000000. A request that runs keeps its own. */
  timeoutSeconds: number;
  /** Ends the wait, not the request: it rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

const schema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      retainSeconds: z.optional(z.unknown()),
    },
    "must be an object",
  ),
);

const requestSchema = once(() =>
  z.strictObject(
    {
      timeoutSeconds: z.optional(z.unknown()),
      signal: z.optional(z.instanceof(AbortSignal, { error: "must be an AbortSignal" })),
    },
    "must be an object",
  ),
);

export interface ResolvedConfirmation {
  readonly prefix: string;
  readonly retainSeconds: number;
  readonly client: RecipeClientOptions["client"];
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveConfirmation(prefix: unknown, options: unknown): ResolvedConfirmation {
  const what = "Confirmation";
  const { retainSeconds = 86_400, client } = parseOptions(what, schema, options);
  checkDetachedTtl(what, retainSeconds, "retainSeconds", 2);
  return { prefix: delimitedPrefix(what, prefix), retainSeconds, client };
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveRequest(id: unknown, options: unknown): ConfirmationRequestOptions {
  const what = "Confirmation.request";
  checkId(what, id);
  const { timeoutSeconds, signal } = parseOptions(what, requestSchema, options);
  checkDetachedTtl(what, timeoutSeconds, "timeoutSeconds", 2);
  return { timeoutSeconds, signal };
}

export interface ResolvedDecision {
  readonly result: ConfirmationResult;
  readonly call: CallOptions;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveDecision(
  decision: "approved" | "rejected",
  id: unknown,
  by: unknown,
  reason: unknown,
  options: unknown,
): ResolvedDecision {
  const what = decision === "approved" ? "Confirmation.approve" : "Confirmation.reject";
  checkId(what, id);
  checkText(what, by, "by");
  if (by === "") throw new InvalidOptionError(what, "by", "must not be empty: it says who decided");
  if (reason !== undefined) checkText(what, reason, "reason");
  return { result: { decision, by, ...(reason !== undefined && { reason }) }, call: resolveCall(what, options) };
}
