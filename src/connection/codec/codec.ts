import type { ILeaseTimeToLiveResponse } from "etcd3/lib/rpc.js";
import type { LeaseId } from "../../model/lease-id.ts";
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
  RangePart,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchResponse,
  WatchStreamRequest,
} from "./messages.ts";
import { RequestEncoder } from "./request-encoder.ts";
import { type ReadLease, ResponseDecoder, watchIdOf } from "./response-decoder.ts";
import { newMessage, varintTag, writeLeaseId } from "./wire-writer.ts";

/** One call of the protocol, with our messages. */
export interface Method<Request, Response> {
  /** As gRPC names it. */
  readonly path: string;
  /** As our errors and logs name it. */
  readonly name: string;
  encode(request: Request): Buffer;
  decode(bytes: Buffer): Response;
}

/**
 * The calls that carry keys, values, events and leases, between our messages and the protocol's bytes; and what the
 * others answer. A namespace is put before every key on the way out and taken off on the way in, here and nowhere else.
 */
export class Codec {
  readonly range: Method<RangeRequest, RangeResponse>;
  readonly rangeStream: Method<RangeRequest, RangePart>;
  readonly put: Method<PutRequest, PutResponse>;
  readonly deleteRange: Method<DeleteRangeRequest, DeleteRangeResponse>;
  readonly txn: Method<TxnRequest, TxnResponse>;
  readonly watch: Method<WatchStreamRequest, WatchResponse>;
  readonly leaseGrant: Method<LeaseGrantRequest, ReadLease>;
  readonly leaseRevoke: Method<LeaseId, void>;
  readonly leaseKeepAlive: Method<LeaseId, LeaseKeepAliveResponse>;
  readonly #namespace: Buffer;

  constructor(namespace: Uint8Array = new Uint8Array()) {
    this.#namespace = Buffer.from(namespace);
    const encoder = new RequestEncoder(this.#namespace);
    const decoder = new ResponseDecoder(namespace.length);
    this.range = method(
      "KV",
      "Range",
      (request) => encoder.range(request),
      (bytes) => decoder.range(bytes),
    );
    this.rangeStream = method(
      "KV",
      "RangeStream",
      (request) => encoder.range(request),
      (bytes) => decoder.rangePart(bytes),
    );
    this.put = method(
      "KV",
      "Put",
      (request) => encoder.put(request),
      (bytes) => decoder.put(bytes),
    );
    this.deleteRange = method(
      "KV",
      "DeleteRange",
      (request) => encoder.deleteRange(request),
      (bytes) => decoder.deleteRange(bytes),
    );
    this.txn = method(
      "KV",
      "Txn",
      (request) => encoder.txn(request),
      (bytes) => decoder.txn(bytes),
    );
    this.watch = this.watchOn(() => 0);
    this.leaseGrant = method("Lease", "LeaseGrant", encodeGrant, (bytes) => decoder.leaseGrant(bytes));
    this.leaseRevoke = method("Lease", "LeaseRevoke", encodeLeaseId, () => {});
    this.leaseKeepAlive = method("Lease", "LeaseKeepAlive", encodeLeaseId, (bytes) => decoder.leaseKeepAlive(bytes));
  }

  /**
   * Of one stream, on which each watch can have a namespace within that of the codec.
   *
   * @param namespaceBytes how long that of a watch is, by its number
   */
  watchOn(namespaceBytes: (watchId: string) => number): Method<WatchStreamRequest, WatchResponse> {
    const own = this.#namespace;
    const decoders = new Map<number, ResponseDecoder>();
    const decoderOf = (bytes: number) => {
      const decoder = decoders.get(bytes) ?? new ResponseDecoder(own.length + bytes);
      decoders.set(bytes, decoder);
      return decoder;
    };
    return method(
      "Watch",
      "Watch",
      (request) => {
        const { namespace = noBytes } = typeof request === "object" && "create" in request ? request.create : {};
        return new RequestEncoder(Buffer.concat([own, namespace])).watch(request);
      },
      (bytes) => decoderOf(namespaceBytes(watchIdOf(bytes))).watch(bytes),
    );
  }

  leaseTimeToLiveResponse(response: ILeaseTimeToLiveResponse): LeaseTimeToLiveResponse {
    return {
      remainingSeconds: Number(response.TTL),
      grantedSeconds: Number(response.grantedTTL),
      // A lease may have keys of others on it; everything else that etcd answers lies within what was asked for.
      keys: response.keys
        .filter((key) => key.subarray(0, this.#namespace.length).equals(this.#namespace))
        .map((key) => key.subarray(this.#namespace.length)),
    };
  }
}

const noBytes = new Uint8Array();

function method<Request, Response>(
  service: string,
  name: string,
  encode: (request: Request) => Buffer,
  decode: (bytes: Buffer) => Response,
): Method<Request, Response> {
  const path = `/etcdserverpb.${service}/${name}`;
  return { path, name: `${service}.${name.charAt(0).toLowerCase()}${name.slice(1)}`, encode, decode };
}

function encodeGrant({ id, ttlSeconds }: LeaseGrantRequest): Buffer {
  const writer = newMessage();
  writer.uint32(varintTag(1)).int64(ttlSeconds);
  writeLeaseId(writer, 2, id);
  return writer.finish();
}

/** Of a renewal or a revocation. */
function encodeLeaseId(id: LeaseId): Buffer {
  const writer = newMessage();
  writeLeaseId(writer, 1, id);
  return writer.finish();
}
