/** The status codes of gRPC, from 0 on. Source: grpc/grpc, doc/statuscodes.md. */
const names = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** As the conventions of RPC write a status of gRPC: `NOT_FOUND` for 5, the number for one that has no name. */
export function statusName(code: number | undefined): string | undefined {
  return code === undefined ? undefined : (names[code] ?? String(code));
}
