import { GrpcFailure } from "../../grpc/index.ts";

/** How a call ended that has no answer: what the transport knows of it, whichever transport it is. */
export interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  /** The transport knows that no server began to execute the request. */
  readonly neverLeft: boolean;
  /** The status of HTTP, of an answer that was not gRPC. */
  readonly httpStatus?: number | undefined;
}

/** @returns undefined for what did not come from the transport */
export function grpcAnswer(cause: unknown): GrpcAnswer | undefined {
  if (!(cause instanceof GrpcFailure)) return undefined;
  const { code, message, neverExecuted, httpStatus } = cause;
  return { code, message, neverLeft: neverExecuted, httpStatus };
}
