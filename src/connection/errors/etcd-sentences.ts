import type { RequestLimit } from "../../errors/request-refused-error.ts";

/**
 * What an answer of etcd's means for the request. All but the last three say that nothing was executed.
 *
 * - `cannotServe`: this member cannot, another one may
 * - `busy`: this member has too much to do at the moment
 * - `exists`: what is to be made is there already
 * - `notInSync`: a learner cannot be promoted yet
 * - `refused`: the request is wrong as it is; to repeat it changes nothing
 * - `unanswered`: etcd does not know itself what became of it
 * - `corrupt`: the members disagree; etcd stays so until an operator has seen to it
 * - `unknown`: etcd's own words, which this version of the table does not have
 */
export type Meaning =
  | "compacted"
  | "futureRevision"
  | "leaseNotFound"
  | "exists"
  | "notInSync"
  | "permissionDenied"
  | "unauthenticated"
  | "oldAuthRevision"
  | "authNotEnabled"
  | "noSpace"
  | "refused"
  | "busy"
  | "cannotServe"
  | "unanswered"
  | "corrupt"
  | "unknown";

/**
 * Every sentence of etcd 3.4 to 3.7 (api/v3rpc/rpctypes/error.go), and those that it sends without an entry there, as
 * gRPC's UNKNOWN. The code that comes with a sentence says little: `etcd grpc-proxy` makes most of them UNKNOWN, and
 * some differ between versions.
 */
const sentences: Readonly<Record<Exclude<Meaning, "unknown">, readonly string[]>> = {
  compacted: ["etcdserver: mvcc: required revision has been compacted", "mvcc: required revision has been compacted"],
  futureRevision: [
    "etcdserver: mvcc: required revision is a future revision",
    "mvcc: required revision is a future revision",
  ],
  leaseNotFound: ["etcdserver: requested lease not found"],
  exists: [
    "etcdserver: lease already exists",
    "etcdserver: user name already exists",
    "etcdserver: role name already exists",
    "etcdserver: member ID already exist",
    "etcdserver: Peer URLs already exists",
  ],
  notInSync: ["etcdserver: can only promote a learner member which is in sync with leader"],
  permissionDenied: ["etcdserver: permission denied", "auth: permission denied"],
  unauthenticated: [
    "etcdserver: invalid auth token",
    "etcdserver: user name is empty",
    "etcdserver: authentication failed, invalid user ID or password",
    "auth: authentication failed, password was given for no password user",
    "auth: invalid auth token",
    "auth: user name is empty",
  ],
  oldAuthRevision: ["etcdserver: revision of auth store is old", "auth: revision in header is old"],
  authNotEnabled: ["etcdserver: authentication is not enabled"],
  noSpace: ["etcdserver: mvcc: database space exceeded", "etcdserver: no space"],
  refused: [
    "etcdserver: key is not provided",
    "etcdserver: key not found",
    "etcdserver: value is provided",
    "etcdserver: lease is provided",
    "etcdserver: too many operations in txn request",
    "etcdserver: duplicate key given in txn request",
    "etcdserver: request is too large",
    "etcdserver: too large lease TTL",
    "etcdserver: invalid client api version",
    "etcdserver: invalid sort option",
    "mvcc: watcher range is empty",
    "mvcc: duplicate watch ID provided on the WatchStream",
    // Users and roles.
    "etcdserver: root user does not exist",
    "etcdserver: root user does not have root role",
    "etcdserver: user name not found",
    "etcdserver: role name not found",
    "etcdserver: role name is empty",
    // From Go's bcrypt.
    "bcrypt: password length exceeds 72 bytes",
    "etcdserver: role is not granted to the user",
    "etcdserver: permission not given",
    "etcdserver: permission is not granted to the role",
    "etcdserver: invalid auth management",
    // Members.
    "etcdserver: member not found",
    "etcdserver: given member URLs are invalid",
    "etcdserver: re-configuration failed due to not enough started members",
    "etcdserver: can only promote a learner member",
    "etcdserver: too many learner members in cluster",
    "etcdserver: cluster ID mismatch",
    "etcdserver: bad leader transferee",
    // Downgrades.
    "etcdserver: wrong downgrade target version format",
    "etcdserver: invalid downgrade target version",
    "etcdserver: cluster version not found during downgrade",
    "etcdserver: cluster has a downgrade job in progress",
    "etcdserver: no inflight downgrade job",
  ],
  busy: ["etcdserver: too many requests"],
  cannotServe: [
    "etcdserver: no leader",
    "etcdserver: not leader",
    "etcdserver: not capable",
    "etcdserver: rpc not supported for learner",
    // What a change of members is answered with while too few of them are connected.
    "etcdserver: unhealthy cluster",
  ],
  unanswered: [
    "etcdserver: leader changed",
    "etcdserver: server stopped",
    "etcdserver: request timed out",
    "etcdserver: request timed out, possibly due to previous leader failure",
    "etcdserver: request timed out, possibly due to connection lost",
    "etcdserver: request timed out, waiting for the applied index took too long",
    "etcdserver: request timed out, leader transfer took too long",
    "etcdserver: context deadline exceeded",
    "etcdserver: request canceled",
    "etcdserver: request cancelled",
    "etcdserver: watch canceled",
  ],
  corrupt: ["etcdserver: corrupt cluster"],
};

/** Which limit a request is beyond that etcd refuses. */
export function limitIn(message: string): RequestLimit | undefined {
  if (message.endsWith("too many operations in txn request")) return "operations";
  return message.endsWith("request is too large") || saysMessageIsTooLarge(message) ? "requestBytes" : undefined;
}

const meanings = new Map(
  Object.entries(sentences).flatMap(([meaning, all]) => all.map((sentence) => [sentence, meaning as Meaning])),
);

/** What Go writes before a status that it passes on as text, as in the cancel reason of a watch. */
const goStatus = /^rpc error: code = \w+ desc = /;

/** @returns undefined for what is not etcd's own sentence: it says nothing about what etcd did */
export function meaningOf(message: string): Meaning | undefined {
  let sentence = message;
  while (goStatus.test(sentence)) sentence = sentence.replace(goStatus, "");
  return meanings.get(sentence) ?? (sentence.startsWith("etcdserver: ") ? "unknown" : undefined);
}

/** gRPC-go's words, in etcd and in `etcd grpc-proxy`, for a message above its limit. */
const tooLarge = /larger than max \((\d+) vs\. \d+\)$/;

export function saysMessageIsTooLarge(message: string): boolean {
  return tooLarge.test(message);
}

/**
 * Whether it was the request that was too large for the server. The same words are used of an answer, which was then
 * executed: the number distinguishes them.
 */
export function saysRequestIsTooLarge(message: string, requestBytes: number | undefined): boolean {
  const bytes = tooLarge.exec(message)?.[1];
  return bytes !== undefined && Number(bytes) === requestBytes;
}

/**
 * gRPC-go's words for a call that an older etcd does not have. What answers for a whole other service is no etcd at
 * all.
 */
const unknownMethod = /^unknown method \w+ for service etcdserverpb\.\w+$/;

export function saysMethodIsUnknown(message: string): boolean {
  return unknownMethod.test(message);
}
