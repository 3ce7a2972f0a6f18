import { type GrpcFailure, grpcStatus } from "../../src/grpc/index.ts";
import type { Ending } from "./http2-reference.ts";

const resetCodes: Record<string, number> = {
  INTERNAL_ERROR: 2,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
};

/** How a call of ours ended, in the words that the reference has for it. */
export function endingOf(failure: GrpcFailure | undefined, answer: Buffer | undefined): Ending {
  if (!failure) return { how: "ok", words: "", body: answer };
  const nothing = { words: "", body: undefined };
  const reset = /reset the stream \((\w+)\)/.exec(failure.message)?.[1];
  if (reset !== undefined) return { how: `reset ${resetCodes[reset]}`, ...nothing };
  if (failure.message.includes("without a grpc-status") || failure.message.includes("midst"))
    return { how: "malformed", ...nothing };
  if (failure.httpStatus !== undefined) return { how: `page ${failure.httpStatus}`, ...nothing };
  if (failure.code === grpcStatus.DEADLINE_EXCEEDED && failure.message.includes("deadline"))
    return { how: "deadline", ...nothing };
  return { how: `status ${failure.code}`, words: failure.message, body: undefined };
}
