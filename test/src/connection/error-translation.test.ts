import { describe, expect, test } from "vitest";
import { translateFailure, translateWatchCancel } from "../../../src/connection/errors/error-translation.ts";
import { GrpcFailure } from "../../../src/grpc/index.ts";

// Which answers say what etcd did, and which say nothing of it. The sentences are those of etcd 3.4 to 3.7
// (api/v3rpc/rpctypes/error.go), with the codes that etcd sends them with.

const UNKNOWN = 2;

function answer(code: number, details: string): GrpcFailure {
  return new GrpcFailure(code, details);
}

/** gRPC's code, etcd's sentence behind "etcdserver: ", and the code of our error. */
const refusals: [number, string, string][] = [
  [11, "mvcc: required revision has been compacted", "ETCD_COMPACTED"],
  [11, "mvcc: required revision is a future revision", "ETCD_FUTURE_REVISION"],
  [5, "requested lease not found", "ETCD_LEASE_NOT_FOUND"],
  [9, "lease already exists", "ETCD_CONFLICT"],
  [9, "user name already exists", "ETCD_CONFLICT"],
  [9, "role name already exists", "ETCD_CONFLICT"],
  [9, "member ID already exist", "ETCD_CONFLICT"],
  [9, "Peer URLs already exists", "ETCD_CONFLICT"],
  [7, "permission denied", "ETCD_PERMISSION_DENIED"],
  [16, "invalid auth token", "ETCD_UNAUTHENTICATED"],
  [3, "revision of auth store is old", "ETCD_UNAUTHENTICATED"],
  [3, "user name is empty", "ETCD_UNAUTHENTICATED"],
  [3, "authentication failed, invalid user ID or password", "ETCD_UNAUTHENTICATED"],
  ...(
    [
      [3, "key is not provided"],
      [3, "key not found"],
      [3, "value is provided"],
      [3, "lease is provided"],
      [3, "too many operations in txn request"],
      [3, "duplicate key given in txn request"],
      [3, "request is too large"],
      [3, "invalid client api version"],
      [3, "invalid sort option"],
      [11, "too large lease TTL"],
      [9, "authentication is not enabled"],
      [9, "root user does not exist"],
      [9, "root user does not have root role"],
      [9, "user name not found"],
      [9, "role name not found"],
      [3, "role name is empty"],
      [9, "role is not granted to the user"],
      [3, "permission not given"],
      [9, "permission is not granted to the role"],
      [3, "invalid auth management"],
      [5, "member not found"],
      [3, "given member URLs are invalid"],
      [2, "re-configuration failed due to not enough started members"],
      [9, "can only promote a learner member"],
      [9, "too many learner members in cluster"],
      [9, "cluster ID mismatch"],
      [9, "bad leader transferee"],
      [3, "wrong downgrade target version format"],
      [3, "invalid downgrade target version"],
      [9, "cluster version not found during downgrade"],
      [9, "cluster has a downgrade job in progress"],
      [9, "no inflight downgrade job"],
    ] as const
  ).map(([code, sentence]): [number, string, string] => [code, sentence, "ETCD_REQUEST_REFUSED"]),
];

const never: [number, string, string][] = [
  [2, "too many requests", "ETCD_EXHAUSTED"],
  [14, "no leader", "ETCD_UNAVAILABLE"],
  [9, "not leader", "ETCD_UNAVAILABLE"],
  [14, "not capable", "ETCD_UNAVAILABLE"],
  [9, "not capable", "ETCD_UNAVAILABLE"],
  [14, "rpc not supported for learner", "ETCD_UNAVAILABLE"],
  [9, "rpc not supported for learner", "ETCD_UNAVAILABLE"],
  [14, "unhealthy cluster", "ETCD_UNAVAILABLE"],
];

const unanswered: [number, string][] = [
  [14, "leader changed"],
  [14, "server stopped"],
  [14, "request timed out"],
  [14, "request timed out, possibly due to previous leader failure"],
  [14, "request timed out, possibly due to connection lost"],
  [14, "request timed out, waiting for the applied index took too long"],
  [2, "request timed out, leader transfer took too long"],
  [1, "request canceled"],
  [2, "request cancelled"],
  [1, "watch canceled"],
];

/** As etcd sends it, as `etcd grpc-proxy` does, and as Go passes a status on in text. */
function forms(code: number, sentence: string): Error[] {
  const text = `etcdserver: ${sentence}`;
  return [answer(code, text), answer(UNKNOWN, text), answer(UNKNOWN, `rpc error: code = Unknown desc = ${text}`)];
}

describe("etcd's own sentence counts, whatever code it comes with", () => {
  test.each(refusals)("%i %s: %s, not executed, not worth a retry", (code, sentence, expected) => {
    for (const cause of forms(code, sentence)) {
      expect(translateFailure(cause, { write: true })).toMatchObject({
        error: { code: expected, retryable: false, outcomeUnknown: false, cause },
        neverExecuted: true,
        worthRetrying: false,
        endpointAtFault: false,
      });
      // An attempt before this one may have been executed.
      const later = translateFailure(cause, { write: true, earlierUnknown: true });
      expect(later).toMatchObject({ error: { code: expected, outcomeUnknown: true }, neverExecuted: false });
    }
  });

  test.each([
    [8, "mvcc: database space exceeded"],
    [8, "no space"],
  ])("%i %s: a write may have been executed, not worth a retry", (code, sentence) => {
    for (const cause of forms(code, sentence)) {
      for (const earlierUnknown of [false, true]) {
        expect(translateFailure(cause, { write: true, earlierUnknown })).toMatchObject({
          error: { code: "ETCD_EXHAUSTED", retryable: false, outcomeUnknown: true, cause },
          neverExecuted: false,
          worthRetrying: false,
          endpointAtFault: false,
        });
      }
      expect(translateFailure(cause, { write: false }).error.outcomeUnknown).toBe(false);
    }
  });

  test("a password that Go's bcrypt refuses is refused", () => {
    const cause = answer(UNKNOWN, "bcrypt: password length exceeds 72 bytes");
    expect(translateFailure(cause, { write: true })).toMatchObject({
      error: { code: "ETCD_REQUEST_REFUSED", retryable: false, outcomeUnknown: false },
      endpointAtFault: false,
    });
  });

  test.each(never)("%i %s: %s, not executed, worth a retry", (code, sentence, expected) => {
    for (const cause of forms(code, sentence)) {
      expect(translateFailure(cause, { write: true })).toMatchObject({
        error: { code: expected, retryable: true, outcomeUnknown: false },
        neverExecuted: true,
        worthRetrying: true,
        // One that has too much to do is not to be left for that.
        endpointAtFault: expected !== "ETCD_EXHAUSTED",
      });
    }
  });

  test.each(unanswered)("%i %s: a write may have been executed", (code, sentence) => {
    for (const cause of forms(code, sentence)) {
      expect(translateFailure(cause, { write: true })).toMatchObject({
        error: { code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: true },
        neverExecuted: false,
        worthRetrying: true,
        endpointAtFault: true,
      });
      expect(translateFailure(cause, { write: false }).error.outcomeUnknown).toBe(false);
    }
  });

  test("a corrupt cluster is no reason for another attempt, and may have written", () => {
    for (const cause of forms(15, "corrupt cluster")) {
      expect(translateFailure(cause, { write: true })).toMatchObject({
        error: { code: "ETCD_PROTOCOL", retryable: true, outcomeUnknown: true },
        worthRetrying: false,
      });
    }
  });

  test.each([
    [3, "ETCD_REQUEST_REFUSED"],
    [5, "ETCD_REQUEST_REFUSED"],
    [7, "ETCD_PERMISSION_DENIED"],
    [9, "ETCD_REQUEST_REFUSED"],
    [16, "ETCD_UNAUTHENTICATED"],
    [2, "ETCD_UNAVAILABLE"],
    [8, "ETCD_UNAVAILABLE"],
    [14, "ETCD_UNAVAILABLE"],
  ])("of a sentence that etcd may get one day the code counts: %i", (code, expected) => {
    const { error } = translateFailure(answer(code, "etcdserver: the moon is full"), { write: true });
    expect(error).toMatchObject({ code: expected, outcomeUnknown: expected === "ETCD_UNAVAILABLE" });
  });
});

describe("what is not etcd's sentence says nothing of etcd", () => {
  const foreign: [number, string][] = [
    // What grpc-js makes of HTTP and of HTTP/2 (subchannel-call.ts).
    [13, "Received HTTP status code 400"],
    [16, "Received HTTP status code 401"],
    [7, "Received HTTP status code 403"],
    [12, "Received HTTP status code 404"],
    [14, "Received HTTP status code 429"],
    [14, "Received HTTP status code 503"],
    [8, "Bandwidth exhausted or memory limit exceeded"],
    [7, "Protocol not secure enough"],
    [1, "Call cancelled"],
    [13, "Received RST_STREAM with code 2 (Internal server error)"],
    [14, "Connection dropped"],
    // What proxies say with gRPC's codes, sometimes in etcd's words or nearly so.
    [7, "RBAC: access denied"],
    [7, "permission denied"],
    [16, "Jwt is missing"],
    [16, "invalid auth token"],
    [8, "too many requests"],
    [8, "rate limit exceeded"],
    [8, "the proxy says etcdserver: mvcc: database space exceeded"],
    [3, "request is too large"],
    [5, "no such route"],
    [6, "already exists"],
    [9, "upstream is not ready"],
    [10, "aborted"],
    [11, "out of range"],
    [12, "unknown service etcdserverpb.KV"],
    [15, "data loss"],
    [2, ""],
    [99, "a code that gRPC has not got"],
  ];

  test.each(foreign)("%i %s: a broken path", (code, details) => {
    expect(translateFailure(answer(code, details), { write: true })).toMatchObject({
      error: { code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: true },
      neverExecuted: false,
      worthRetrying: true,
      endpointAtFault: true,
    });
    const { error } = translateFailure(answer(code, details), { write: false });
    expect(error).toMatchObject({ retryable: true, outcomeUnknown: false, message: expect.stringContaining(details) });
  });

  test("a refusal that etcd did not make names its code, so that it is not taken for etcd's", () => {
    const { message } = translateFailure(answer(7, "RBAC: access denied"), { write: false }).error;
    expect(message).toBe("not etcd's own answer (PERMISSION_DENIED): RBAC: access denied");
  });

  test("a deadline is a time-out", () => {
    const { error } = translateFailure(answer(4, "Deadline exceeded"), { write: true });
    expect(error).toMatchObject({ code: "ETCD_TIMEOUT", retryable: true, outcomeUnknown: true });
  });
});

test.each([14, 8, 13])("what no server began to execute was not executed, whatever its code: %i", (code) => {
  const cause = new GrpcFailure(code, "the server refused the stream", { neverExecuted: true });
  expect(translateFailure(cause, { write: true })).toMatchObject({
    error: { code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: false },
    neverExecuted: true,
    worthRetrying: true,
  });
});

test("a deadline that was over before the request had left is a time-out of what was not executed", () => {
  const cause = new GrpcFailure(4, "the deadline passed", { neverExecuted: true });
  expect(translateFailure(cause, { write: true })).toMatchObject({
    error: { code: "ETCD_TIMEOUT", retryable: true, outcomeUnknown: false },
    neverExecuted: true,
    worthRetrying: true,
  });
});

test("a request above the server's limit was refused; an answer above it was executed", () => {
  const cause = answer(8, "grpc: received message larger than max (5000000 vs. 2097152)");
  expect(translateFailure(cause, { write: true, requestBytes: 5_000_000 })).toMatchObject({
    error: { code: "ETCD_REQUEST_REFUSED", retryable: false, outcomeUnknown: false },
    worthRetrying: false,
  });
  for (const requestBytes of [20, undefined]) {
    expect(translateFailure(cause, { write: true, ...(requestBytes && { requestBytes }) })).toMatchObject({
      error: { code: "ETCD_UNAVAILABLE", outcomeUnknown: true },
    });
  }
});

test("a call that an older etcd does not have is refused; a server that has none of etcd's calls is not etcd", () => {
  const older = answer(12, "unknown method Downgrade for service etcdserverpb.Maintenance");
  expect(translateFailure(older, { write: true }).error).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
});

test.each([
  ["rpc error: code = PermissionDenied desc = etcdserver: permission denied", "ETCD_PERMISSION_DENIED", false],
  ["etcdserver: permission denied", "ETCD_PERMISSION_DENIED", false],
  ["rpc error: code = Unauthenticated desc = etcdserver: invalid auth token", "ETCD_UNAUTHENTICATED", false],
  ["rpc error: code = InvalidArgument desc = etcdserver: user name is empty", "ETCD_UNAUTHENTICATED", false],
  ["rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old", "ETCD_UNAUTHENTICATED", false],
  ["etcdserver: mvcc: required revision has been compacted", "ETCD_COMPACTED", false],
  ["mvcc: watcher range is empty", "ETCD_REQUEST_REFUSED", false],
  ["etcdserver: no leader", "ETCD_UNAVAILABLE", true],
  ["rpc error: code = PermissionDenied desc = RBAC: access denied", "ETCD_UNAVAILABLE", true],
  ["permission denied by the gateway", "ETCD_UNAVAILABLE", true],
  ["context canceled", "ETCD_UNAVAILABLE", true],
  ["", "ETCD_UNAVAILABLE", true],
])("a watch that is cancelled for %j ends with %s", (reason, code, retryable) => {
  expect(translateWatchCancel(reason)).toMatchObject({ code, retryable });
});
