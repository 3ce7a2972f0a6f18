import { grpcCodes } from "./grpc-codes.ts";

/** How a call ended that has no answer: what the transport knows of it, whichever transport it is. */
export interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  /** The transport knows that the request was not handed to any server. */
  readonly neverLeft: boolean;
}

/** What grpc-js says where it had no connection. It comes first in the text. */
export const notConnected = "No connection established";

/** Where grpc-js has not sent the request, and where HTTP/2 says that the server has not looked at it (RFC 9113, 8.7). */
const neverLeft = [
  notConnected,
  "Name resolution failed",
  "Channel closed before call started",
  "Failed to start HTTP/2 stream",
  "Stream refused by server",
];

/** @returns undefined for what is no error of grpc-js's */
export function grpcAnswer(cause: unknown): GrpcAnswer | undefined {
  if (!(cause instanceof Error && "code" in cause && "details" in cause)) return undefined;
  const { code, details } = cause;
  if (typeof code !== "number" || typeof details !== "string") return undefined;
  const isLocal = code === grpcCodes.UNAVAILABLE || code === grpcCodes.INTERNAL;
  return { code, message: details, neverLeft: isLocal && neverLeft.some((words) => details.startsWith(words)) };
}
