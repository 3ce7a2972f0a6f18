import { errorCode } from "./http2/protocol.ts";
import { grpcStatus } from "./status.ts";

/**
 * The status of a stream that the server has reset (grpc/grpc: doc/PROTOCOL-HTTP2.md, "HTTP2 Transport Mapping",
 * Errors).
 */
export function statusOfReset(code: number): number {
  switch (code) {
    case errorCode.REFUSED_STREAM:
      return grpcStatus.UNAVAILABLE;
    case errorCode.CANCEL:
      return grpcStatus.CANCELLED;
    case errorCode.ENHANCE_YOUR_CALM:
      return grpcStatus.RESOURCE_EXHAUSTED;
    case errorCode.INADEQUATE_SECURITY:
      return grpcStatus.PERMISSION_DENIED;
    default:
      return grpcStatus.INTERNAL;
  }
}
