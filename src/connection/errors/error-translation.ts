import { CompactedError } from "../../errors/compacted-error.ts";
import { ConflictError } from "../../errors/conflict-error.ts";
import { EtcdError, type EtcdErrorDetails } from "../../errors/etcd-error.ts";
import { ExhaustedError } from "../../errors/exhausted-error.ts";
import { FutureRevisionError } from "../../errors/future-revision-error.ts";
import { LeaseNotFoundError } from "../../errors/lease-not-found-error.ts";
import { PermissionDeniedError } from "../../errors/permission-denied-error.ts";
import { ProtocolError } from "../../errors/protocol-error.ts";
import { RequestRefusedError } from "../../errors/request-refused-error.ts";
import { EtcdTimeoutError } from "../../errors/timeout-error.ts";
import { UnauthenticatedError } from "../../errors/unauthenticated-error.ts";
import { UnavailableError } from "../../errors/unavailable-error.ts";
import { grpcStatus, statusName } from "../../grpc/index.ts";
import {
  limitIn,
  type Meaning,
  meaningOf,
  saysMessageIsTooLarge,
  saysMethodIsUnknown,
  saysRequestIsTooLarge,
} from "./etcd-sentences.ts";
import { type GrpcAnswer, grpcAnswer } from "./grpc-answer.ts";
import { tooLargeForProxy } from "./too-large-for-proxy.ts";

/** What a failed attempt means for the call that made it. */
export interface Failure {
  readonly error: EtcdError;
  /** The server provably did nothing: even a write may go to another endpoint. */
  readonly neverExecuted: boolean;
  /** Another endpoint, or the same one later, may do better. */
  readonly worthRetrying: boolean;
  /** The connection or the member is to blame: prefer another endpoint. */
  readonly endpointAtFault: boolean;
}

/** What was attempted. */
export interface Attempted {
  /** It may have changed something: its failure says so in `outcomeUnknown` unless the server provably did nothing. */
  readonly write: boolean;
  /**
   * An earlier attempt of the same call may have been executed, so a refusal now does not mean that nothing was done.
   */
  readonly earlierUnknown?: boolean;
  /** How long the request was, for a call that sends one. */
  readonly requestBytes?: number;
}

type Make = (message: string, details: EtcdErrorDetails) => EtcdError;

/** The errors for what etcd refuses: to ask again changes nothing, and nothing was executed, but for `noSpace`. */
const refusals: Readonly<Partial<Record<Meaning, Make>>> = {
  compacted: (message, details) => new CompactedError(message, details),
  futureRevision: (message, details) => new FutureRevisionError(message, details),
  leaseNotFound: (message, details) => new LeaseNotFoundError(message, details),
  exists: (message, details) => new ConflictError(message, details),
  // It catches up by itself.
  notInSync: (message, details) => new RequestRefusedError(message, { ...details, retryable: true }),
  permissionDenied: (message, details) => new PermissionDeniedError(message, details),
  unauthenticated: (message, details) => new UnauthenticatedError(message, details),
  oldAuthRevision: (message, details) => new UnauthenticatedError(message, details),
  authNotEnabled: (message, details) => new RequestRefusedError(message, details),
  noSpace: (message, details) => new ExhaustedError(message, details),
  refused: (message, details) => new RequestRefusedError(message, { ...details, beyond: limitIn(message) }),
};

/** By gRPC's code, for sentences that etcd has got since. */
const refusalsByCode = new Map<number, Make>([
  [grpcStatus.INVALID_ARGUMENT, (message, details) => new RequestRefusedError(message, details)],
  [grpcStatus.FAILED_PRECONDITION, (message, details) => new RequestRefusedError(message, details)],
  [grpcStatus.NOT_FOUND, (message, details) => new RequestRefusedError(message, details)],
  [grpcStatus.OUT_OF_RANGE, (message, details) => new RequestRefusedError(message, details)],
  [grpcStatus.ALREADY_EXISTS, (message, details) => new ConflictError(message, details)],
  [grpcStatus.PERMISSION_DENIED, (message, details) => new PermissionDeniedError(message, details)],
  [grpcStatus.UNAUTHENTICATED, (message, details) => new UnauthenticatedError(message, details)],
]);

/**
 * Codes that a broken connection or an overloaded server comes with. Others would name a refusal, and etcd has made
 * none.
 */
const brokenCodes = new Set<number>([
  grpcStatus.UNAVAILABLE,
  grpcStatus.CANCELLED,
  grpcStatus.ABORTED,
  grpcStatus.INTERNAL,
  grpcStatus.UNKNOWN,
]);

/**
 * Translates what a unary call or a stream ended with. etcd's own sentence counts first, whatever its code. What is not
 * etcd's sentence is a broken path: a proxy's refusal, an HTTP status, a code that the transport made up. It says
 * nothing about what etcd did or will do, so a write may have been applied, and another endpoint or moment may do
 * better. Only a request that is too large for a proxy is refused for good.
 */
export function translateFailure(cause: unknown, attempted: Attempted): Failure {
  if (cause instanceof EtcdError) {
    return { error: cause, neverExecuted: true, worthRetrying: cause.retryable, endpointAtFault: true };
  }
  const answer = grpcAnswer(cause);
  if (answer) return translateAnswer(answer, cause, attempted);
  const details = { cause, outcomeUnknown: attempted.write };
  const error = new ProtocolError(`the answer could not be read: ${String(cause)}`, details);
  return { error, neverExecuted: false, worthRetrying: false, endpointAtFault: false };
}

function translateAnswer(answer: GrpcAnswer, cause: unknown, attempted: Attempted): Failure {
  const { code, message, neverLeft } = answer;
  const { write, earlierUnknown = false } = attempted;
  const meaning = meaningOf(message);
  const refusal = refusalFor(answer, meaning, attempted);
  if (refusal) {
    // Etcd looks at its space once more when it executes a write, and refuses by these words what it has just stored.
    const outcomeUnknown = earlierUnknown || (write && meaning === "noSpace");
    const error = refusal(message, { cause, outcomeUnknown });
    return { error, neverExecuted: !outcomeUnknown, worthRetrying: false, endpointAtFault: false };
  }
  const retryable: EtcdErrorDetails = { cause, retryable: true };
  if (neverLeft && code === grpcStatus.DEADLINE_EXCEEDED) {
    const error = new EtcdTimeoutError("it could not be sent within the time of the attempt", retryable);
    return { error, neverExecuted: true, worthRetrying: true, endpointAtFault: true };
  }
  if (neverLeft || meaning === "cannotServe") {
    const error = new UnavailableError(message, retryable);
    return { error, neverExecuted: true, worthRetrying: true, endpointAtFault: true };
  }
  if (meaning === "busy") {
    const error = new ExhaustedError(message, retryable);
    return { error, neverExecuted: true, worthRetrying: true, endpointAtFault: false };
  }
  const unknown: EtcdErrorDetails = { ...retryable, outcomeUnknown: write };
  if (meaning === "corrupt") {
    const error = new ProtocolError(message, unknown);
    return { error, neverExecuted: false, worthRetrying: false, endpointAtFault: false };
  }
  const error =
    code === grpcStatus.DEADLINE_EXCEEDED
      ? new EtcdTimeoutError("no answer within the time of the attempt", unknown)
      : new UnavailableError(meaning || brokenCodes.has(code) ? message : notFromEtcd(answer), unknown);
  return { error, neverExecuted: false, worthRetrying: true, endpointAtFault: true };
}

function refusalFor(
  answer: GrpcAnswer,
  meaning: Meaning | undefined,
  { requestBytes, write }: Attempted,
): Make | undefined {
  const { code, message } = answer;
  if (meaning) return meaning === "unknown" ? refusalsByCode.get(code) : refusals[meaning];
  // Of a stream it is what it has sent in hours that is too much: another one begins anew.
  const tooLarge = requestBytes === undefined ? undefined : tooLargeForProxy(answer);
  if (tooLarge) {
    return (_, details) =>
      new RequestRefusedError(`too large for a proxy before etcd: ${message}`, { ...details, ...tooLarge });
  }
  // The answer to a read: it changed nothing, and to ask for as much again changes nothing.
  if (!write && saysMessageIsTooLarge(message) && !saysRequestIsTooLarge(message, requestBytes)) return answerTooLarge;
  return saysRequestIsTooLarge(message, requestBytes) || saysMethodIsUnknown(message) ? refusals.refused : undefined;
}

function answerTooLarge(message: string, details: EtcdErrorDetails): RequestRefusedError {
  return new RequestRefusedError(message, { ...details, beyond: "answerBytes" });
}

function notFromEtcd({ code, message }: GrpcAnswer): string {
  return `not etcd's own answer (${statusName(code)}): ${message}`;
}

/**
 * Users or roles were changed since the token was made, by whatever member: one that lags goes on making old ones for a
 * while.
 */
export function isOfOldRevision({ error }: Failure): boolean {
  return error instanceof UnauthenticatedError && meaningOf(error.message) === "oldAuthRevision";
}

/** Whether etcd knows no users, so that it gives no token. */
export function isAuthNotEnabled(error: unknown): boolean {
  return error instanceof RequestRefusedError && meaningOf(error.message) === "authNotEnabled";
}

/** Why the server ended one watch of a stream, from the words of its cancel answer. */
export function translateWatchCancel(reason: string): EtcdError {
  const meaning = meaningOf(reason);
  const refusal = meaning && refusals[meaning];
  if (refusal) return refusal(reason, {});
  return new UnavailableError(reason === "" ? "etcd cancelled the watch without a reason" : reason, {
    retryable: true,
  });
}
