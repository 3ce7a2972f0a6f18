import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import {
  CompareResult,
  CompareTarget,
  type ICompare,
  type IDeleteRangeRequest,
  type IDeleteRangeResponse,
  type IEvent,
  type IKeyValue,
  type ILeaseKeepAliveResponse,
  type ILeaseTimeToLiveResponse,
  type IPutRequest,
  type IPutResponse,
  type IRangeRequest,
  type IRangeResponse,
  type IRequestOp,
  type IResponseOp,
  type IStatusResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
  SortOrder,
  SortTarget,
} from "etcd3/lib/rpc.js";
import { ProtocolError } from "../errors/protocol-error.ts";
import type { Compare } from "../model/compare.ts";
import { endOfPrefix, type KeyRange, toTheLastKey } from "../model/key-range.ts";
import { type KeyValue, StoredKeyValue } from "../model/key-value.ts";
import { leaseIdFromDecimal, leaseIdToDecimal } from "../model/lease-id.ts";
import type { Op, OpResult } from "../model/op.ts";
import { revisionFromDecimal } from "../model/revision.ts";
import type { WatchEvent } from "../model/watch-event.ts";
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchResponse,
} from "./messages.ts";

export type ServiceName = "KV" | "Watch" | "Lease" | "Maintenance" | "Cluster" | "Auth";

let definitions: Record<ServiceName, ServiceDefinition> | undefined;

/**
 * The services of etcd's own `.proto` files with the functions that turn messages into bytes and back: all bytes of the
 * protocol pass here. Loaded when the first connection is made.
 */
export function serviceDefinition(service: ServiceName): ServiceDefinition {
  definitions ??= loadDefinitions();
  return definitions[service];
}

function loadDefinitions(): Record<ServiceName, ServiceDefinition> {
  const packageJson = createRequire(import.meta.url).resolve("etcd3/package.json");
  const loaded = loadSync(join(dirname(packageJson), "proto", "rpc.proto"), {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  // By the names that etcd3's stubs use: `range`, where the .proto file says `Range`.
  const named = (service: ServiceName): ServiceDefinition => {
    const methods = Object.values(loaded[`etcdserverpb.${service}`] as ServiceDefinition);
    return Object.fromEntries(methods.map((method) => [method.originalName ?? method.path, method]));
  };
  return {
    KV: named("KV"),
    Watch: named("Watch"),
    Lease: named("Lease"),
    Maintenance: named("Maintenance"),
    Cluster: named("Cluster"),
    Auth: named("Auth"),
  };
}

const compareResults = {
  equal: CompareResult.Equal,
  notEqual: CompareResult.NotEqual,
  greater: CompareResult.Greater,
  less: CompareResult.Less,
} as const;

const sortTargets = {
  key: SortTarget.Key,
  version: SortTarget.Version,
  createRevision: SortTarget.Create,
  modRevision: SortTarget.Mod,
  value: SortTarget.Value,
} as const;

const sortOrders = { ascend: SortOrder.Ascend, descend: SortOrder.Descend } as const;

/**
 * Turns our messages into the protocol's and back. A namespace is put before every key on the way out and taken off on
 * the way in, here and nowhere else.
 */
export class Codec {
  readonly #namespace: Buffer;

  constructor(namespace: Uint8Array = new Uint8Array()) {
    this.#namespace = asBuffer(namespace);
  }

  rangeRequest(request: RangeRequest): IRangeRequest {
    return {
      ...this.#rangeFields(request.range),
      ...(request.revision !== undefined && { revision: request.revision }),
      ...(request.limit !== undefined && { limit: request.limit }),
      ...(request.keysOnly && { keys_only: true }),
      ...(request.countOnly && { count_only: true }),
      ...(request.serializable && { serializable: true }),
      ...(request.maxCreateRevision !== undefined && { max_create_revision: request.maxCreateRevision }),
      ...(request.sort && { sort_target: sortTargets[request.sort.by], sort_order: sortOrders[request.sort.order] }),
    };
  }

  rangeResponse(response: IRangeResponse): RangeResponse {
    return { revision: revisionFromDecimal(response.header.revision), ...this.#rangeResult(response) };
  }

  putRequest(request: PutRequest): IPutRequest {
    return {
      key: this.#outKey(request.key),
      value: asBuffer(request.value),
      ...(request.lease && { lease: leaseIdToDecimal(request.lease) }),
      ...(request.previous && { prev_kv: true }),
    };
  }

  putResponse(response: IPutResponse): PutResponse {
    return { revision: revisionFromDecimal(response.header.revision), ...this.#previousOf(response.prev_kv) };
  }

  deleteRangeRequest(request: DeleteRangeRequest): IDeleteRangeRequest {
    return { ...this.#rangeFields(request.range), ...(request.previous && { prev_kv: true }) };
  }

  deleteRangeResponse(response: IDeleteRangeResponse): DeleteRangeResponse {
    return { revision: revisionFromDecimal(response.header.revision), ...this.#deleteResult(response) };
  }

  txnRequest(request: TxnRequest): ITxnRequest {
    return {
      compare: request.compare.map((compare) => this.#compare(compare)),
      success: request.success.map((op) => this.#requestOp(op)),
      failure: request.failure.map((op) => this.#requestOp(op)),
    };
  }

  txnResponse(response: ITxnResponse): TxnResponse {
    return {
      revision: revisionFromDecimal(response.header.revision),
      succeeded: response.succeeded,
      responses: response.responses.map((op) => this.#responseOp(op)),
    };
  }

  watchCreateRequest(request: WatchCreateRequest): IWatchRequest {
    return {
      create_request: {
        ...this.#rangeFields(request.range),
        start_revision: request.startRevision,
        progress_notify: true,
        fragment: true,
        prev_kv: request.previous,
      },
    };
  }

  watchResponse(response: IWatchResponse): WatchResponse {
    return {
      watchId: response.watch_id,
      headerRevision: revisionFromDecimal(response.header?.revision ?? "0"),
      created: response.created,
      canceled: response.canceled,
      cancelReason: response.cancel_reason,
      compactRevision: revisionFromDecimal(response.compact_revision),
      fragment: response.fragment,
      events: response.events.map((event) => this.#event(event)),
    };
  }

  leaseTimeToLiveResponse(response: ILeaseTimeToLiveResponse): LeaseTimeToLiveResponse {
    return {
      remainingSeconds: Number(response.TTL),
      grantedSeconds: Number(response.grantedTTL),
      keys: response.keys.filter((key) => this.#isInside(key)).map((key) => this.#inKey(key)),
    };
  }

  leaseKeepAliveResponse(response: ILeaseKeepAliveResponse): LeaseKeepAliveResponse {
    const id = leaseIdFromDecimal(response.ID);
    if (!id) throw new ProtocolError("etcd acknowledged the renewal of a lease without id");
    return { id, ttlSeconds: Number(response.TTL) };
  }

  memberStatus(response: IStatusResponse): MemberStatus {
    return {
      memberId: BigInt(response.header.member_id).toString(16),
      version: response.version,
      leaderId: response.leader === "0" ? undefined : BigInt(response.leader).toString(16),
      revision: revisionFromDecimal(response.header.revision),
      raftTerm: revisionFromDecimal(response.header.raft_term),
      dbSizeBytes: Number(response.dbSize),
    };
  }

  #rangeFields(range: KeyRange): { key: Buffer; range_end?: Buffer } {
    const key = this.#outKey(range.start);
    if (!range.end) return { key };
    const toTheEnd = range.end.length === 1 && range.end[0] === 0;
    if (toTheEnd && this.#namespace.length > 0) return { key, range_end: asBuffer(endOfPrefix(this.#namespace)) };
    return { key, range_end: toTheEnd ? asBuffer(toTheLastKey) : this.#outKey(range.end) };
  }

  #outKey(key: Uint8Array): Buffer {
    return this.#namespace.length === 0 ? asBuffer(key) : Buffer.concat([this.#namespace, key]);
  }

  /** A lease may have keys of others on it; everything else that etcd answers lies within what was asked for. */
  #isInside(key: Buffer): boolean {
    return key.subarray(0, this.#namespace.length).equals(this.#namespace);
  }

  #inKey(key: Buffer): Uint8Array {
    return this.#namespace.length === 0 ? key : key.subarray(this.#namespace.length);
  }

  #compare(compare: Compare): ICompare {
    const common = { ...this.#rangeFields(compare.range), result: compareResults[compare.result] };
    switch (compare.target) {
      case "version":
        return { ...common, target: CompareTarget.Version, version: compare.operand };
      case "createRevision":
        return { ...common, target: CompareTarget.Create, create_revision: compare.operand };
      case "modRevision":
        return { ...common, target: CompareTarget.Mod, mod_revision: compare.operand };
      case "value":
        return { ...common, target: CompareTarget.Value, value: asBuffer(compare.operand) };
      case "lease":
        return {
          ...common,
          target: CompareTarget.Lease,
          lease: compare.operand ? leaseIdToDecimal(compare.operand) : "0",
        };
      default:
        return compare satisfies never;
    }
  }

  #requestOp(op: Op): IRequestOp {
    switch (op.type) {
      case "put":
        return { request_put: this.putRequest(op) };
      case "range":
        return { request_range: this.rangeRequest(op) };
      case "delete":
        return { request_delete_range: this.deleteRangeRequest(op) };
      case "txn":
        return { request_txn: this.txnRequest(op) };
      default:
        return op satisfies never;
    }
  }

  #responseOp(op: IResponseOp): OpResult {
    if (op.response_put) return { type: "put", ...this.#previousOf(op.response_put.prev_kv) };
    if (op.response_range) return { type: "range", ...this.#rangeResult(op.response_range) };
    if (op.response_delete_range) return { type: "delete", ...this.#deleteResult(op.response_delete_range) };
    if (op.response_txn) {
      const { succeeded, responses } = op.response_txn;
      return { type: "txn", succeeded, responses: responses.map((response) => this.#responseOp(response)) };
    }
    throw new ProtocolError("etcd answered a txn with an operation of no known kind");
  }

  #rangeResult(response: IRangeResponse): { kvs: KeyValue[]; count: number; more: boolean } {
    return {
      kvs: response.kvs.map((kv) => this.#keyValue(kv)),
      count: revisionFromDecimal(response.count),
      more: response.more,
    };
  }

  #deleteResult(response: IDeleteRangeResponse): { deleted: number; previous: KeyValue[] } {
    return {
      deleted: revisionFromDecimal(response.deleted),
      previous: response.prev_kvs.map((kv) => this.#keyValue(kv)),
    };
  }

  #previousOf(kv: IKeyValue | null): { previous?: KeyValue } {
    return kv ? { previous: this.#keyValue(kv) } : {};
  }

  #event(event: IEvent): WatchEvent {
    const previous = this.#previousOf(event.prev_kv);
    return { type: event.type === "Delete" ? "delete" : "put", kv: this.#keyValue(event.kv), ...previous };
  }

  #keyValue(kv: IKeyValue): KeyValue {
    const lease = leaseIdFromDecimal(kv.lease);
    return new StoredKeyValue({
      keyBytes: this.#inKey(kv.key),
      value: kv.value,
      createRevision: revisionFromDecimal(kv.create_revision),
      modRevision: revisionFromDecimal(kv.mod_revision),
      version: revisionFromDecimal(kv.version),
      ...(lease && { lease }),
    });
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
