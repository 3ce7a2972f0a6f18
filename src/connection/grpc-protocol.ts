import {
  type ICallable,
  type IDuplexStream,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IWatchRequest,
  type IWatchResponse,
  KVClient,
  LeaseClient,
  MaintenanceClient,
  WatchClient,
} from "etcd3/lib/rpc.js";
import type { EtcdError } from "../errors/etcd-error.ts";
import { type CallOptions, checkCallOptions } from "../model/call-options.ts";
import { type LeaseId, leaseIdFromDecimal, leaseIdToDecimal } from "../model/lease-id.ts";
import { cancelStream } from "./cancel-stream.ts";
import { Codec } from "./codec.ts";
import { type CallKind, Connection, type RpcOptions } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchResponse,
} from "./messages.ts";
import type { KeepAliveStream, Protocol, ProtocolOptions, WatchStream } from "./protocol.ts";
import { ProtocolStream } from "./protocol-stream.ts";
import type { StreamHandlers } from "./stream-handlers.ts";

/** The protocol by way of etcd3's stubs, over our own connection. */
export class GrpcProtocol implements Protocol {
  readonly #connection: Connection;
  readonly #codec: Codec;
  readonly requestTimeoutMs: number;
  readonly #kv: KVClient;
  readonly #lease: LeaseClient;
  readonly #maintenance: MaintenanceClient;

  constructor(options: ProtocolOptions) {
    this.#connection = new Connection(options);
    this.#codec = new Codec(options.namespace);
    this.requestTimeoutMs = options.requestTimeoutMs;
    this.#kv = new KVClient(this.#connection);
    this.#lease = new LeaseClient(this.#connection);
    this.#maintenance = new MaintenanceClient(this.#connection);
  }

  async range(request: RangeRequest, options?: CallOptions): Promise<RangeResponse> {
    return this.#codec.rangeResponse(
      await this.#kv.range(this.#codec.rangeRequest(request), this.#rpc("read", options)),
    );
  }

  async put(request: PutRequest, options?: CallOptions): Promise<PutResponse> {
    return this.#codec.putResponse(await this.#kv.put(this.#codec.putRequest(request), this.#rpc("write", options)));
  }

  async deleteRange(request: DeleteRangeRequest, options?: CallOptions): Promise<DeleteRangeResponse> {
    const message = this.#codec.deleteRangeRequest(request);
    return this.#codec.deleteRangeResponse(await this.#kv.deleteRange(message, this.#rpc("write", options)));
  }

  async txn(request: TxnRequest, options?: CallOptions): Promise<TxnResponse> {
    const message = this.#codec.txnRequest(request);
    return this.#codec.txnResponse(
      await this.#kv.txn(message, this.#rpc(onlyReads(request) ? "read" : "write", options)),
    );
  }

  async leaseGrant(id: LeaseId, ttlSeconds: number, options?: CallOptions): Promise<LeaseGrantResponse> {
    const answer = await this.#lease.leaseGrant(
      { ID: leaseIdToDecimal(id), TTL: ttlSeconds },
      this.#rpc("idempotent", options),
    );
    return { id: leaseIdFromDecimal(answer.ID) ?? id, ttlSeconds: Number(answer.TTL) };
  }

  async leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void> {
    await this.#lease.leaseRevoke({ ID: leaseIdToDecimal(id) }, this.#rpc("idempotent", options));
  }

  async leaseTimeToLive(id: LeaseId, keys: boolean, options?: CallOptions): Promise<LeaseTimeToLiveResponse> {
    const answer = await this.#lease.leaseTimeToLive({ ID: leaseIdToDecimal(id), keys }, this.#rpc("read", options));
    return this.#codec.leaseTimeToLiveResponse(answer);
  }

  async memberStatus(endpoint: Endpoint | undefined, options?: CallOptions): Promise<MemberStatus> {
    const answer = await this.#maintenance.status({ ...this.#rpc("read", options), only: endpoint } as RpcOptions);
    return this.#codec.memberStatus(answer);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#connection.endpoints.all;
  }

  streamEndpoints(after?: Endpoint): Endpoint[] {
    return this.#connection.endpoints.inOrder("streams", after);
  }

  streamWorked(endpoint: Endpoint): void {
    this.#connection.endpoints.worked("streams", endpoint);
  }

  streamFailed(endpoint: Endpoint, how: "broken" | "silent"): void {
    endpoint.failed();
    if (how === "silent") endpoint.drop("streams");
  }

  async openWatch(
    endpoint: Endpoint,
    limitMs: number,
    handlers: StreamHandlers<WatchResponse>,
    signal?: AbortSignal,
  ): Promise<WatchStream> {
    const duplex = await this.#openDuplex<IWatchRequest, IWatchResponse>(
      signal,
      (callable) => new WatchClient(callable).watch(),
      endpoint,
      limitMs,
    );
    const stream = new ProtocolStream<IWatchRequest>(
      endpoint,
      duplex,
      (message) => handlers.onMessage(this.#codec.watchResponse(message as IWatchResponse)),
      (error: EtcdError) => handlers.onEnd(error),
    );
    return {
      endpoint,
      create: (request) => stream.send(this.#codec.watchCreateRequest(request)),
      cancel: (watchId) => stream.send({ cancel_request: { watch_id: watchId } }),
      close: () => stream.close(),
    };
  }

  async openKeepAlive(
    endpoint: Endpoint,
    limitMs: number,
    handlers: StreamHandlers<LeaseKeepAliveResponse>,
    signal?: AbortSignal,
  ): Promise<KeepAliveStream> {
    const duplex = await this.#openDuplex<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>(
      signal,
      (callable) => new LeaseClient(callable).leaseKeepAlive(),
      endpoint,
      limitMs,
    );
    const stream = new ProtocolStream<ILeaseKeepAliveRequest>(
      endpoint,
      duplex,
      (message) => handlers.onMessage(this.#codec.leaseKeepAliveResponse(message as ILeaseKeepAliveResponse)),
      (error) => handlers.onEnd(error),
    );
    return { endpoint, renew: (id) => stream.send({ ID: leaseIdToDecimal(id) }), close: () => stream.close() };
  }

  close(): void {
    this.#connection.close();
  }

  /** Opens a stream; one that comes up after `signal` has aborted is cancelled at once. */
  async #openDuplex<Q, R>(
    signal: AbortSignal | undefined,
    open: (callable: ICallable<Endpoint>) => Promise<IDuplexStream<Q, R>>,
    endpoint: Endpoint,
    limitMs: number,
  ): Promise<IDuplexStream<Q, R>> {
    const duplex = await open(this.#connection.on(endpoint, limitMs));
    if (!signal?.aborted) return duplex;
    cancelStream(duplex);
    throw signal.reason;
  }

  #rpc(kind: CallKind, options: CallOptions | undefined): RpcOptions {
    checkCallOptions(options);
    return { kind, timeoutMs: options?.timeoutMs ?? this.requestTimeoutMs, signal: options?.signal };
  }
}

function onlyReads(request: TxnRequest): boolean {
  const reads = (ops: TxnRequest["success"]): boolean =>
    ops.every((op) => op.type === "range" || (op.type === "txn" && reads(op.success) && reads(op.failure)));
  return reads(request.success) && reads(request.failure);
}
