import type { RequestLimit } from "../../errors/request-refused-error.ts";
import { grpcStatus } from "../../grpc/index.ts";
import type { GrpcAnswer } from "./grpc-answer.ts";

/**
 * What HTTP says of a request that is too large for what stands before etcd. Such a request did not come through whole,
 * so etcd has not executed it, and the same one never will: to repeat it changes nothing.
 *
 * No other status is final. 400, 401, 403, 404, 405, 407, 411, 415, 421, 426, 429 and 5xx say that the path is wrongly
 * made or too busy, which passes or is corrected there, and they can come after etcd has executed the request. 414 does
 * not occur: the paths of gRPC have a few dozen characters.
 */
const finalStatuses = new Map<number, RequestLimit | undefined>([
  [413, "requestBytes"],
  // The header has the token, and no smaller request has a smaller one.
  [431, undefined],
]);

/** Envoy's words for its 413 when the request was gRPC. */
const envoySentence = "Payload Too Large";

/** @returns undefined for any other answer */
export function tooLargeForProxy(answer: GrpcAnswer): { readonly beyond: RequestLimit | undefined } | undefined {
  const { code, message, httpStatus } = answer;
  if (code === grpcStatus.UNKNOWN && message === envoySentence) return { beyond: "requestBytes" };
  if (httpStatus === undefined || !finalStatuses.has(httpStatus)) return undefined;
  return { beyond: finalStatuses.get(httpStatus) };
}
