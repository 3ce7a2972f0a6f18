import { KVClient, LeaseClient, MaintenanceClient } from "etcd3/lib/rpc.js";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import type { UnavailableError } from "../errors/unavailable-error.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type LeaseId, leaseIdFromDecimal, leaseIdToDecimal } from "../model/lease-id.ts";
import { memberStatus } from "./codec/admin-codec.ts";
import { Codec, type Method } from "./codec/codec.ts";
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
} from "./codec/messages.ts";
import type { Connection } from "./connection.ts";
import type { DescribedOptions } from "./described-options.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import type { EndpointUrl } from "./endpoints/endpoint-url.ts";
import { GrpcAdmin } from "./grpc-admin.ts";
import type {
  KeepAliveStream,
  Protocol,
  ProtocolOptions,
  RangeStream,
  WatchHandlers,
  WatchStream,
} from "./protocol.ts";
import { ProtocolStream } from "./protocol-stream.ts";
import type { CallKind, RpcOptions } from "./rpc-options.ts";
import type { StreamEndpoint } from "./stream-endpoint.ts";
import type { StreamHandlers } from "./stream-handlers.ts";

export type GrpcProtocolOptions = Pick<ProtocolOptions, "namespace" | "requestTimeoutMs">;

/** The protocol over our own connection: keys, and what keeps leases, by our codec; the rest by etcd3's stubs. */
export class GrpcProtocol implements Protocol {
  readonly #connection: Connection;
  readonly #namespace: Uint8Array;
  readonly #codec: Codec;
  readonly requestTimeoutMs: number;
  readonly #kv: KVClient;
  readonly admin: GrpcAdmin;
  readonly #lease: LeaseClient;
  readonly #maintenance: MaintenanceClient;

  constructor(connection: Connection, { namespace, requestTimeoutMs }: GrpcProtocolOptions) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#codec = new Codec(namespace);
    this.requestTimeoutMs = requestTimeoutMs;
    this.#kv = new KVClient(this.#connection);
    this.admin = new GrpcAdmin(this.#connection, requestTimeoutMs);
    this.#lease = new LeaseClient(this.#connection);
    this.#maintenance = new MaintenanceClient(this.#connection);
  }

  within(namespace: Uint8Array): Protocol {
    const { requestTimeoutMs } = this;
    const all = Buffer.concat([this.#namespace, namespace]);
    return new GrpcProtocol(this.#connection, { namespace: all, requestTimeoutMs });
  }

  range(request: RangeRequest, options?: CallOptions): Promise<RangeResponse> {
    return this.#call(this.#codec.range, request, "read", options);
  }

  async openRangeStream(request: RangeRequest, options?: CallOptions): Promise<RangeStream | undefined> {
    const { path, encode, decode } = this.#codec.rangeStream;
    const rpc = this.#rpc("read", options);
    const reply = await this.#connection.openReply(path, encode(request), rpc);
    if (!reply) return undefined;
    return {
      next: async () => {
        const message = await reply.next(rpc.timeoutMs);
        return message && decode(message);
      },
      close: () => reply.close(),
    };
  }

  put(request: PutRequest, options?: CallOptions): Promise<PutResponse> {
    return this.#call(this.#codec.put, request, "write", options);
  }

  deleteRange(request: DeleteRangeRequest, options?: CallOptions): Promise<DeleteRangeResponse> {
    return this.#call(this.#codec.deleteRange, request, "write", options);
  }

  txn(request: TxnRequest, options?: CallOptions): Promise<TxnResponse> {
    return this.#call(this.#codec.txn, request, onlyReads(request) ? "read" : "write", options);
  }

  async compact(revision: number, physical: boolean, options?: CallOptions): Promise<void> {
    await this.#kv.compact({ revision, physical }, this.#rpc("write", options));
  }

  async leaseGrant(id: LeaseId, ttlSeconds: number, options?: CallOptions): Promise<LeaseGrantResponse> {
    const answer = await this.#call(this.#codec.leaseGrant, { id, ttlSeconds }, "idempotent", options);
    return { id: answer.id ?? id, ttlSeconds: answer.ttlSeconds };
  }

  leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void> {
    return this.#call(this.#codec.leaseRevoke, id, "idempotent", options);
  }

  async leaseLeases(options?: CallOptions): Promise<readonly LeaseId[]> {
    const { leases } = await this.#lease.leaseLeases(this.#rpc("read", options));
    return leases.flatMap(({ ID }) => leaseIdFromDecimal(ID) ?? []);
  }

  async leaseTimeToLive(id: LeaseId, keys: boolean, options?: CallOptions): Promise<LeaseTimeToLiveResponse> {
    const answer = await this.#lease.leaseTimeToLive({ ID: leaseIdToDecimal(id), keys }, this.#rpc("read", options));
    return this.#codec.leaseTimeToLiveResponse(answer);
  }

  async memberStatus(endpoint: Endpoint | undefined, options?: CallOptions): Promise<MemberStatus> {
    const { clock } = this.#connection;
    const call = this.#rpc("read", options);
    const endMs = clock.monotonicMs() + call.timeoutMs;
    const ask = async (anonymous: boolean, timeoutMs: number) => {
      const rpc: RpcOptions = { ...call, timeoutMs, only: endpoint, anonymous };
      return memberStatus(await this.#maintenance.status(rpc));
    };
    try {
      // A member without a leader has no token to give, and etcd answers this to everybody.
      return await ask(true, call.timeoutMs);
    } catch (error) {
      if (!(error instanceof UnauthenticatedError || error instanceof PermissionDeniedError)) throw error;
      return ask(false, Math.max(1, endMs - clock.monotonicMs()));
    }
  }

  get endpoints(): readonly Endpoint[] {
    return this.#connection.endpoints.all;
  }

  get secure(): boolean {
    return this.#connection.endpoints.secure;
  }

  get unreached(): UnavailableError | undefined {
    return this.#connection.endpoints.unreached;
  }

  setEndpoints(endpoints: readonly EndpointUrl[], origin: "given" | "members"): void {
    this.#connection.setEndpoints(endpoints, origin);
  }

  get endpointsGiven(): number {
    return this.#connection.endpoints.given;
  }

  async readLinearizably(only: Endpoint | undefined, asked: StreamEndpoint[], options?: CallOptions): Promise<void> {
    const { range } = this.#codec;
    const request = range.encode({ range: { start: Buffer.from("health") }, keysOnly: true, limit: 1 });
    await this.#connection.call(range, request, { ...this.#rpc("read", options), only, asked });
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
    handlers: WatchHandlers,
    signal?: AbortSignal,
  ): Promise<WatchStream> {
    const method = this.#codec.watchOn((watchId) => handlers.namespaceBytes?.(watchId) ?? 0);
    const stream = await this.#openStream(method, endpoint, limitMs, handlers, signal);
    return {
      endpoint,
      create: (request) => stream.send({ create: request }),
      cancel: (watchId) => stream.send({ cancel: watchId }),
      requestProgress: () => stream.send("progress"),
      close: () => stream.close(),
    };
  }

  async openKeepAlive(
    endpoint: Endpoint,
    limitMs: number,
    handlers: StreamHandlers<LeaseKeepAliveResponse>,
    signal?: AbortSignal,
  ): Promise<KeepAliveStream> {
    const stream = await this.#openStream(this.#codec.leaseKeepAlive, endpoint, limitMs, handlers, signal);
    return { endpoint, renew: (id) => stream.send(id), close: () => stream.close() };
  }

  close(): void {
    this.#connection.close();
  }

  /** Opens a stream; one that comes up after `signal` has aborted is cancelled at once. */
  async #openStream<Request, Response>(
    method: Method<Request, Response>,
    endpoint: Endpoint,
    limitMs: number,
    handlers: StreamHandlers<Response>,
    signal: AbortSignal | undefined,
  ): Promise<ProtocolStream<Request, Response>> {
    const stream = new ProtocolStream(method, endpoint, handlers);
    const opened = await this.#connection.openStream(method.path, endpoint, limitMs, {
      onMessage: (bytes) => stream.onMessage(bytes),
      onEnd: (error) => stream.onEnd(error),
    });
    if (signal?.aborted) {
      opened.cancel();
      throw signal.reason;
    }
    stream.opened(opened);
    return stream;
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    kind: CallKind,
    options: DescribedOptions | undefined,
  ): Promise<Response> {
    const rpc = this.#rpc(kind, options);
    return this.#connection.call(method, method.encode(request), rpc);
  }

  #rpc(kind: CallKind, options: DescribedOptions | undefined): RpcOptions {
    const timeoutMs = options?.timeoutMs ?? this.requestTimeoutMs;
    return { kind, timeoutMs, signal: options?.signal, described: options?.described };
  }
}

function onlyReads(request: TxnRequest): boolean {
  const reads = (ops: TxnRequest["success"]): boolean =>
    ops.every((op) => op.type === "range" || (op.type === "txn" && reads(op.success) && reads(op.failure)));
  return reads(request.success) && reads(request.failure);
}
