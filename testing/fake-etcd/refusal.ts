import { type GrpcFailure, grpcFailure } from "../../src/grpc/grpc-failure.ts";
import { grpcStatus } from "../../src/grpc/index.ts";

/** etcd's own sentences and codes (api/v3rpc/rpctypes/error.go): the client's table makes its errors of them. */
const refusals = {
  emptyKey: [grpcStatus.INVALID_ARGUMENT, "etcdserver: key is not provided"],
  keyNotFound: [grpcStatus.INVALID_ARGUMENT, "etcdserver: key not found"],
  compacted: [grpcStatus.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"],
  futureRevision: [grpcStatus.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"],
  tooManyOps: [grpcStatus.INVALID_ARGUMENT, "etcdserver: too many operations in txn request"],
  duplicateKey: [grpcStatus.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"],
  requestTooLarge: [grpcStatus.INVALID_ARGUMENT, "etcdserver: request is too large"],
  leaseNotFound: [grpcStatus.NOT_FOUND, "etcdserver: requested lease not found"],
  leaseExists: [grpcStatus.FAILED_PRECONDITION, "etcdserver: lease already exists"],
  ttlTooLarge: [grpcStatus.OUT_OF_RANGE, "etcdserver: too large lease TTL"],
} as const;

/** What etcd ends a call with that it does not execute. */
export function refuse(why: keyof typeof refusals): GrpcFailure {
  const [code, sentence] = refusals[why];
  return grpcFailure(code, sentence);
}

/** What gRPC ends a call with whose request is longer than it takes. */
export function refuseMessage(bytes: number, mostBytes: number): GrpcFailure {
  const sentence = `grpc: received message larger than max (${bytes} vs. ${mostBytes})`;
  return grpcFailure(grpcStatus.RESOURCE_EXHAUSTED, sentence);
}
