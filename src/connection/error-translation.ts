import { status } from "@grpc/grpc-js";
import { CompactedError } from "../errors/compacted-error.ts";
import { ConflictError } from "../errors/conflict-error.ts";
import { EtcdError, type EtcdErrorDetails } from "../errors/etcd-error.ts";
import { ExhaustedError } from "../errors/exhausted-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import type { EndpointUrl } from "./endpoint-url.ts";
import { TlsError } from "./tls-error.ts";

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

interface GrpcError {
  readonly code: number;
  readonly details: string;
}

/** etcd's own sentences (api/v3rpc/rpctypes/error.go in etcd) and grpc-js's. This file alone reads messages. */
const sentences = {
  compacted: "required revision has been compacted",
  futureRevision: "required revision is a future revision",
  noLeader: "no leader",
  tooManyRequests: "too many requests",
  messageTooLarge: "message larger than max",
  leaseExists: "lease already exists",
  leaseTtlTooLarge: "too large lease TTL",
  oldAuthRevision: "revision of auth store is old",
  noUserName: "user name is empty",
  badPassword: "authentication failed",
  notForLearners: "not supported for learner",
  notConnected: "No connection established",
  notResolved: "Name resolution failed",
  closedBeforeStart: "Channel closed before call started",
} as const;

/**
 * Translates what grpc-js reports of a unary call or a stream.
 *
 * @param write the attempt may have changed something: its failure says so in `outcomeUnknown` unless the server provably did nothing
 * @param earlierUnknown an earlier attempt of the same call may have been executed, so a refusal now does not mean that nothing was done
 */
export function translateFailure(cause: unknown, write: boolean, earlierUnknown = false): Failure {
  if (cause instanceof EtcdError) {
    return { error: cause, neverExecuted: true, worthRetrying: cause.retryable, endpointAtFault: true };
  }
  if (!isGrpcError(cause)) {
    const error = new ProtocolError(`the answer could not be read: ${String(cause)}`, { cause, outcomeUnknown: write });
    return { error, neverExecuted: false, worthRetrying: false, endpointAtFault: false };
  }
  const details = cause.details;
  const known: EtcdErrorDetails = { cause, outcomeUnknown: earlierUnknown };
  const has = (sentence: keyof typeof sentences) => details.includes(sentences[sentence]);

  /** The server looked at the request and said no: nothing was changed, asking again changes nothing. */
  const refused = (error: EtcdError): Failure => ({
    error,
    neverExecuted: !earlierUnknown,
    worthRetrying: false,
    endpointAtFault: false,
  });
  /** Nothing was executed, and another endpoint or moment may do better. */
  const elsewhere = (make: (more: EtcdErrorDetails) => EtcdError, endpointAtFault = true): Failure => ({
    error: make({ cause, retryable: true }),
    neverExecuted: true,
    worthRetrying: true,
    endpointAtFault,
  });
  /** It broke on the way: a write may have been applied. */
  const broken = (make: (more: EtcdErrorDetails) => EtcdError): Failure => ({
    error: make({ cause, retryable: true, outcomeUnknown: write }),
    neverExecuted: false,
    worthRetrying: true,
    endpointAtFault: true,
  });

  switch (cause.code) {
    case status.OUT_OF_RANGE:
      if (has("compacted")) return refused(new CompactedError(details, known));
      if (has("futureRevision")) return refused(new FutureRevisionError(details, known));
      return refused(new RequestRefusedError(details, known));
    case status.NOT_FOUND:
      return refused(new LeaseNotFoundError(details, known));
    case status.PERMISSION_DENIED:
      return refused(new PermissionDeniedError(details, known));
    case status.UNAUTHENTICATED:
      return refused(new UnauthenticatedError(details, known));
    case status.INVALID_ARGUMENT:
      if (has("oldAuthRevision") || has("noUserName") || has("badPassword")) {
        return refused(new UnauthenticatedError(details, known));
      }
      return refused(new RequestRefusedError(details, known));
    case status.FAILED_PRECONDITION:
      if (has("leaseExists")) return refused(new ConflictError(details, known));
      if (has("notForLearners")) return elsewhere((more) => new UnavailableError(details, more));
      return refused(new RequestRefusedError(details, known));
    case status.ALREADY_EXISTS:
      return refused(new ConflictError(details, known));
    case status.RESOURCE_EXHAUSTED:
      if (has("messageTooLarge")) return refused(new RequestRefusedError(details, known));
      if (has("tooManyRequests")) return elsewhere((more) => new ExhaustedError(details, more), false);
      return refused(new ExhaustedError(details, known));
    case status.UNAVAILABLE:
      if (
        has("noLeader") ||
        has("notConnected") ||
        has("notResolved") ||
        has("closedBeforeStart") ||
        has("notForLearners")
      ) {
        return elsewhere((more) => new UnavailableError(details, more));
      }
      return broken((more) => new UnavailableError(details, more));
    case status.DEADLINE_EXCEEDED:
      return broken((more) => new EtcdTimeoutError("no answer within the time of the attempt", more));
    case status.CANCELLED:
    case status.ABORTED:
    case status.INTERNAL:
    case status.UNKNOWN:
      return broken((more) => new UnavailableError(details, more));
    // Such as a proxy's "404" while etcd is away, or a corrupt member: this call is over, the next may find a server.
    default:
      return {
        error: new ProtocolError(details, { cause, retryable: true, outcomeUnknown: write }),
        neverExecuted: false,
        worthRetrying: false,
        endpointAtFault: false,
      };
  }
}

/** Users or roles were changed since the token was made, by whatever member: one that lags goes on making old ones for a while. */
export function isOfOldRevision({ error }: Failure): boolean {
  return error instanceof UnauthenticatedError && error.message.includes(sentences.oldAuthRevision);
}

/** Why the server ended one watch of a stream, from the words of its cancel answer. */
export function translateWatchCancel(reason: string): EtcdError {
  if (reason.includes("permission denied")) return new PermissionDeniedError(reason);
  if (reason.includes("invalid auth token") || reason.includes(sentences.oldAuthRevision))
    return new UnauthenticatedError(reason);
  if (reason.includes(sentences.noLeader)) return new UnavailableError(reason, { retryable: true });
  return new UnavailableError(reason === "" ? "etcd cancelled the watch without a reason" : reason, {
    retryable: true,
  });
}

/** Why there is no connection, from the status of a call that found none. */
export function whyNotConnected({ url, secure }: EndpointUrl, { code, details }: GrpcError): UnavailableError {
  if (code !== status.UNAVAILABLE) {
    return new UnavailableError(`${url}: the connection was refused or failed`, { retryable: true });
  }
  const reason = details
    .replace(`${sentences.notConnected}. Last error: `, "")
    .replace(/^Error: /, "")
    .replace(/\.? Resolution note: .*$/, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, "");
  const explained = secure && whyNotSecured(reason);
  return explained
    ? new TlsError(`${url}: ${explained}`)
    : new UnavailableError(`${url}: ${reason}`, { retryable: true });
}

/** What Node and OpenSSL say of a handshake that failed, in words that say what to look at. */
function whyNotSecured(reason: string): string | undefined {
  if (/self.signed certificate|unable to (verify|get).*(certificate|issuer)|unable to verify/i.test(reason)) {
    return `its certificate is not of a CA that is trusted here: look at tls.ca, tls.caFile or ETCD_CACERT (${reason})`;
  }
  if (/certificate has expired/i.test(reason)) return "its certificate has expired";
  if (/certificate purpose/i.test(reason)) return `its certificate is not one for servers (${reason})`;
  if (/certificate is not yet valid/i.test(reason)) return "its certificate is not valid yet";
  if (/altnames|ERR_TLS_CERT_ALTNAME_INVALID/i.test(reason)) {
    return `its certificate is for other names: look at the endpoint's host or tls.serverName (${reason})`;
  }
  const refused = /alert ([a-z ]*(?:certificate|unknown ca)[a-z ]*)/i.exec(reason)?.[1];
  if (refused !== undefined) {
    return `it refused the client's certificate (${refused}): look at tls.cert and tls.key, tls.certFile and tls.keyFile, or ETCD_CERT and ETCD_KEY`;
  }
  return undefined;
}

function isGrpcError(cause: unknown): cause is GrpcError {
  return (
    cause instanceof Error &&
    "code" in cause &&
    typeof cause.code === "number" &&
    "details" in cause &&
    typeof cause.details === "string"
  );
}
