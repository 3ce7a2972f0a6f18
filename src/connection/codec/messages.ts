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

export interface MemberStatus {
  readonly memberId: string;
  readonly version: string;
  /** The member that leads, as this member sees it; undefined: none. */
  readonly leaderId: string | undefined;
  readonly revision: number;
  readonly raftTerm: number;
  readonly dbSizeBytes: number;
}
