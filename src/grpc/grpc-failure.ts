import { withoutStackTrace } from "../internal/without-stack-trace.ts";
import type { ConnectionError } from "./connection-error.ts";
import type { Metadata } from "./metadata.ts";

export interface GrpcFailureDetails {
  /** The server provably did not begin to execute the request. @default false */
  readonly neverExecuted?: boolean | undefined;
  /** Some of the answer had come. @default false */
  readonly answerBegun?: boolean | undefined;
  readonly httpStatus?: number | undefined;
  readonly metadata?: Metadata | undefined;
  /** Why the connection ended, when that ended the call. */
  readonly cause?: ConnectionError | undefined;
}

/**
 * A call or a stream that failed: by the server's word, by the connection's end, by its deadline, or by a broken
 * answer.
 */
export class GrpcFailure extends Error {
  override readonly name = "GrpcFailure";
  /** The status of gRPC, 1 to 16, or an unknown number as the server sent it. */
  readonly code: number;
  /**
   * Whether the server provably did not begin to execute the request: it never left, its stream is above the id of a
   * GOAWAY, or the server answered REFUSED_STREAM. False means unknown, unless `code` says more.
   */
  readonly neverExecuted: boolean;
  /** Whether the deadline passed while the answer came. */
  readonly answerBegun: boolean;
  /** The status of HTTP, when the answer was not gRPC: the page of a proxy, for instance. */
  readonly httpStatus: number | undefined;
  /** What else the answer's headers and trailers said. */
  readonly metadata: Metadata | undefined;

  constructor(code: number, message: string, details: GrpcFailureDetails = {}) {
    const { neverExecuted, answerBegun, httpStatus, metadata, cause } = details;
    super(message, cause && { cause });
    this.code = code;
    this.neverExecuted = neverExecuted ?? false;
    this.answerBegun = answerBegun ?? false;
    this.httpStatus = httpStatus;
    this.metadata = metadata;
  }
}

/** Makes one. It comes from the loop that reads the socket, and where that stands says nothing to a caller. */
export function grpcFailure(code: number, message: string, details?: GrpcFailureDetails): GrpcFailure {
  return withoutStackTrace(() => new GrpcFailure(code, message, details));
}
