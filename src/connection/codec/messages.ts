import type { KeyRange } from "../../model/key-range.ts";
import type { KeyValue } from "../../model/key-value.ts";
import type { LeaseId } from "../../model/lease-id.ts";
import type { DeleteOp, OpResult, PutOp, RangeOp, TxnOp } from "../../model/op.ts";
import type { WatchEvent, WatchFilter } from "../../model/watch-event.ts";

/** The protocol's messages as the rest of the layer sees them: camelCase, numbers and typed ids, no gRPC. */

export type RangeRequest = Omit<RangeOp, "type">;

export interface RangeResponse {
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  readonly count: number;
  readonly more: boolean;
  /** How long the answer was on the wire. */
  readonly bytes: number;
}

/** One of the answers that a range comes in. */
export type RangePart = Pick<RangeResponse, "kvs">;

export type PutRequest = Omit<PutOp, "type">;

export interface PutResponse {
  readonly revision: number;
  readonly previous?: KeyValue;
}

export type DeleteRangeRequest = Omit<DeleteOp, "type">;

export interface DeleteRangeResponse {
  readonly revision: number;
  readonly deleted: number;
  readonly previous: readonly KeyValue[];
}

export type TxnRequest = Omit<TxnOp, "type">;

export interface TxnResponse {
  readonly revision: number;
  readonly succeeded: boolean;
  readonly responses: readonly OpResult[];
}

export interface LeaseGrantRequest {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
}

export interface LeaseGrantResponse {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
}

export interface LeaseTimeToLiveResponse {
  /** Whole seconds left; -1 when there is no such lease. */
  readonly remainingSeconds: number;
  readonly grantedSeconds: number;
  readonly keys: readonly Uint8Array[];
}

export interface LeaseKeepAliveResponse {
  readonly id: LeaseId;
  /** 0 or less: there is no such lease. */
  readonly ttlSeconds: number;
}

export interface WatchCreateRequest {
  readonly range: KeyRange;
  /** What stands before the keys of the range, after the namespace of the stream. @default nothing */
  readonly namespace?: Uint8Array | undefined;
  /** Never 0: "now" would be a different moment each time it is sent. */
  readonly startRevision: number;
  readonly previous: boolean;
  readonly filters?: readonly WatchFilter[] | undefined;
  /** The number that the watch shall have; `etcd grpc-proxy` gives it another one. */
  readonly watchId: string;
}

/** What is sent on a stream of watches; a cancel has the watch's number. */
export type WatchStreamRequest = { readonly create: WatchCreateRequest } | { readonly cancel: string } | "progress";

export interface WatchResponse {
  /** The server's number for the watch; -1 for a watch that was refused. */
  readonly watchId: string;
  readonly headerRevision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly cancelReason: string;
  /** Above 0: the watch was cancelled because its start is compacted. */
  readonly compactRevision: number;
  /** More of the same revision follows. */
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

/** What one member of the cluster says of itself. A field that a server is too old for is undefined. */
export interface MemberStatus {
  /** Of the cluster, in lower-case hex, as `etcdctl` prints it. */
  readonly clusterId: string;
  /** In lower-case hex. */
  readonly memberId: string;
  /** Of its etcd, such as "3.5.21". */
  readonly version: string;
  /** The member that leads, as this member sees it; undefined: none. */
  readonly leaderId: string | undefined;
  /** A learner follows and does not vote; it answers neither writes nor linearizable reads. */
  readonly isLearner: boolean;
  readonly revision: number;
  readonly raftTerm: number;
  /** What the cluster has committed, as this member knows. */
  readonly raftIndex: number;
  /** What of that it has applied. */
  readonly raftAppliedIndex: number;
  /** What the database takes on disk. */
  readonly dbSizeBytes: number;
  /** What of that is in use: a defragmentation gives the rest back. */
  readonly dbSizeInUseBytes: number;
  /** `--quota-backend-bytes`. Since etcd 3.6. */
  readonly dbSizeQuotaBytes: number | undefined;
  /** Of the format of the database, such as "3.6.0". Since etcd 3.6. */
  readonly storageVersion: string | undefined;
  /** The version that a downgrade under way leads to. Since etcd 3.6. */
  readonly downgradeTo: string | undefined;
  /** What is wrong, in etcd's words: alarms, no leader. */
  readonly errors: readonly string[];
}

/** A member as the cluster knows it. */
export interface ClusterMember {
  /** In lower-case hex, as `etcdctl` prints it. */
  readonly id: string;
  /** Empty until it has started. */
  readonly name: string;
  /** Where the other members reach it. */
  readonly peerUrls: readonly string[];
  /** Where it says that clients reach it; empty until it has started. */
  readonly clientUrls: readonly string[];
  /** It follows and does not vote. */
  readonly isLearner: boolean;
}

/** `nospace`: the quota of the database is used up, and etcd takes no writes. `corrupt`: the members disagree. */
export type AlarmType = "nospace" | "corrupt";

export interface ClusterAlarm {
  /** The member that raised it. */
  readonly memberId: string;
  readonly alarm: AlarmType;
}

export interface KeyHash {
  /** The member that was asked. */
  readonly memberId: string;
  /** Of all keys with their history, from `compactRevision` up to the revision that was asked for. */
  readonly hash: number;
  readonly compactRevision: number;
  /** Up to which it was computed. Since etcd 3.6. */
  readonly hashRevision: number | undefined;
  /** The newest revision of the member. */
  readonly revision: number;
}

/** A part of a snapshot. The last one is the sha256 of all before it. */
export interface SnapshotPart {
  readonly bytes: Buffer;
  /** How many bytes follow it, that sum aside. */
  readonly remainingBytes: number;
  /** Of its etcd. Since etcd 3.6. */
  readonly version: string | undefined;
}

export type PermissionType = "read" | "write" | "readwrite";

/** What a role may do. */
export interface RolePermission {
  readonly type: PermissionType;
  readonly range: KeyRange;
}

export interface AuthStatus {
  readonly enabled: boolean;
  /** Grows with each change of users and roles. */
  readonly authRevision: number;
}
