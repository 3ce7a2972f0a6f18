import { EtcdError } from "../../errors/etcd-error.ts";
import { GrpcFailure } from "../../grpc/index.ts";

/**
 * Whether the time of a call was over while its answer came: a shorter one may come in time. When etcd says nothing at
 * all, the length of the answer is not to blame.
 */
export function cameTooSlowly(error: unknown): boolean {
  let root = error;
  while (root instanceof EtcdError) root = root.cause;
  return root instanceof GrpcFailure && root.answerBegun;
}
