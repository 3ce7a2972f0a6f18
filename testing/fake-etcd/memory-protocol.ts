import { Codec } from "../../src/connection/codec/codec.ts";
import type { LeaseGrantResponse, TxnRequest } from "../../src/connection/codec/messages.ts";
import type {
  AdminProtocol,
  ConnectionNotices,
  EndpointUrl,
  KeepAliveStream,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  Protocol,
  StreamEndpoint,
  StreamHandlers,
  WatchHandlers,
  WatchResponse,
  WatchStream,
} from "../../src/connection/index.ts";
import { type CallOptions, InvalidOptionError } from "../../src/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";
import { MemoryAdmin } from "./memory-admin.ts";
import { MemoryConnection, type MemoryEndpoint } from "./memory-connection.ts";
import type { MemoryEtcd } from "./memory-etcd.ts";
import { Namespace } from "./namespace.ts";
import { reliableNetwork } from "./network.ts";

export interface MemoryProtocolOptions {
  /** The clock of the client. @default that of the etcd */
  readonly clock?: Clock | undefined;
  /** @default one that everything goes through */
  readonly endpoints?: readonly MemoryEndpoint[] | undefined;
  /** @default 5000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Put before every key and taken off again. @default none */
  readonly namespace?: Uint8Array | undefined;
  /** Open streams keep the process from ending, as sockets do. @default false */
  readonly holdsProcess?: boolean | undefined;
  /** What is said of the connections. @default it is said nowhere */
  readonly notices?: ConnectionNotices | undefined;
}

/** Makes the bytes of a request only for their number. */
const codec = new Codec();

/** The Protocol of a client whose etcd is in memory. */
export class MemoryProtocol implements Protocol {
  readonly admin: AdminProtocol;
  readonly #etcd: MemoryEtcd;
  readonly #connection: MemoryConnection;
  readonly #namespace: Namespace;

  constructor(etcd: MemoryEtcd, options: MemoryProtocolOptions = {}, connection?: MemoryConnection) {
    const { clock = etcd.clock, requestTimeoutMs = 5_000, namespace, notices, holdsProcess = false } = options;
    const { endpoints = [{ url: "http://memory:2379", network: reliableNetwork }] } = options;
    this.#etcd = etcd;
    this.#namespace = new Namespace(namespace);
    const parts = { clock, endpoints, requestTimeoutMs, notices, holdsProcess };
    this.#connection = connection ?? new MemoryConnection(parts);
    this.admin = new MemoryAdmin(etcd, this.#connection);
  }

  get requestTimeoutMs(): number {
    return this.#connection.requestTimeoutMs;
  }

  get endpoints(): readonly MemoryEndpoint[] {
    return this.#connection.endpoints;
  }

  within(namespace: Uint8Array): Protocol {
    return new MemoryProtocol(this.#etcd, { namespace: this.#namespace.within(namespace).bytes }, this.#connection);
  }

  readonly secure = false;

  get unreached(): undefined {
    return undefined;
  }

  /** What is set is what it has. */
  readonly endpointsGiven = 0;

  /** What it has it keeps: only its own URLs are endpoints. */
  setEndpoints(endpoints: readonly EndpointUrl[]): void {
    const own = new Set(this.endpoints.map(({ url }) => url));
    const other = endpoints.find(({ url }) => !own.has(url));
    if (!other) return;
    throw new InvalidOptionError("setEndpoints", "endpoints", `must be ${[...own].join(", ")}: this etcd is in memory`);
  }

  async readLinearizably(...[only, asked, options]: Parameters<Protocol["readLinearizably"]>): Promise<void> {
    const endpoint = only as MemoryEndpoint | undefined;
    const request = { range: this.#namespace.range({ start: Buffer.from("health") }), keysOnly: true, limit: 1 };
    asked.push(endpoint ?? (this.endpoints[0] as MemoryEndpoint));
    await this.#connection.call({ name: "KV.range", kind: "read", endpoint }, options, () => this.#etcd.range(request));
  }

  async range(...[request, options]: Parameters<Protocol["range"]>): ReturnType<Protocol["range"]> {
    const range = this.#namespace.range(request.range);
    const answer = await this.#call("KV.range", "read", options, () => this.#etcd.range({ ...request, range }));
    return { ...answer, kvs: this.#namespace.keyValues(answer.kvs) };
  }

  /** It has none, as etcd before 3.7. */
  async openRangeStream(): Promise<undefined> {
    return undefined;
  }

  compact(revision: number, _physical: boolean, options?: CallOptions): Promise<void> {
    return this.#call("KV.compact", "write", options, () => this.#etcd.compact(revision));
  }

  async put(...[request, options]: Parameters<Protocol["put"]>): ReturnType<Protocol["put"]> {
    const put = { ...request, key: this.#namespace.key(request.key) };
    const bytes = codec.put.encode(put).length;
    const answer = await this.#call("KV.put", "write", options, () => this.#etcd.put(put, bytes), bytes);
    return answer.previous ? { ...answer, previous: this.#namespace.keyValue(answer.previous) } : answer;
  }

  async deleteRange(...[request, options]: Parameters<Protocol["deleteRange"]>): ReturnType<Protocol["deleteRange"]> {
    const range = this.#namespace.range(request.range);
    const bytes = codec.deleteRange.encode({ ...request, range }).length;
    const execute = () => this.#etcd.deleteRange({ ...request, range }, bytes);
    const answer = await this.#call("KV.deleteRange", "write", options, execute, bytes);
    return { ...answer, previous: this.#namespace.keyValues(answer.previous) };
  }

  async txn(...[request, options]: Parameters<Protocol["txn"]>): ReturnType<Protocol["txn"]> {
    const txn = this.#namespace.txn(request);
    const bytes = codec.txn.encode(txn).length;
    const kind = onlyReads(request) ? "read" : "write";
    const answer = await this.#call("KV.txn", kind, options, () => this.#etcd.txn(txn, bytes), bytes);
    return { ...answer, responses: answer.responses.map((result) => this.#namespace.result(result)) };
  }

  leaseGrant(id: LeaseId, ttlSeconds: number, options?: CallOptions): Promise<LeaseGrantResponse> {
    return this.#call("Lease.leaseGrant", "idempotent", options, () => this.#etcd.leaseGrant(id, ttlSeconds));
  }

  leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void> {
    return this.#call("Lease.leaseRevoke", "idempotent", options, () => this.#etcd.leaseRevoke(id));
  }

  leaseLeases(options?: CallOptions): Promise<readonly LeaseId[]> {
    return this.#call("Lease.leaseLeases", "read", options, () => this.#etcd.leaseIds);
  }

  async leaseTimeToLive(id: LeaseId, keys: boolean, options?: CallOptions): Promise<LeaseTimeToLiveResponse> {
    const execute = () => this.#etcd.leaseTimeToLive(id, keys);
    const answer = await this.#call("Lease.leaseTimeToLive", "read", options, execute);
    return { ...answer, keys: this.#namespace.keysOf(answer.keys) };
  }

  memberStatus(endpoint: StreamEndpoint | undefined, options?: CallOptions): Promise<MemberStatus> {
    const call = { name: "Maintenance.status", kind: "read", endpoint: endpoint as MemoryEndpoint } as const;
    return this.#connection.call(call, options, () => this.#etcd.status());
  }

  streamEndpoints(after?: StreamEndpoint): StreamEndpoint[] {
    return this.#connection.streamEndpoints(after);
  }

  streamWorked(endpoint: StreamEndpoint): void {
    this.#connection.streamWorked(endpoint);
  }

  streamFailed(endpoint: StreamEndpoint): void {
    this.#connection.streamFailed(endpoint);
  }

  async openWatch(
    endpoint: StreamEndpoint,
    limitMs: number,
    handlers: WatchHandlers,
    signal?: AbortSignal,
  ): Promise<WatchStream> {
    const { path, server, end } = await this.#connection.connect(endpoint, limitMs, handlers, signal, {
      open: ({ toClient }) =>
        this.#etcd.openWatchStream((response) =>
          toClient(() => handlers.onMessage(this.#withoutNamespace(response, handlers))),
        ),
      close: (stream) => this.#etcd.closeWatchStream(stream),
    });
    return {
      endpoint,
      create: (request) => {
        const { namespace, range } = request;
        const space = namespace ? this.#namespace.within(namespace) : this.#namespace;
        path.toServer(() => server.create({ ...request, namespace: undefined, range: space.range(range) }));
      },
      cancel: (watchId) => path.toServer(() => server.cancel(watchId)),
      requestProgress: () => path.toServer(() => server.requestProgress()),
      close: end,
    };
  }

  async openKeepAlive(
    endpoint: StreamEndpoint,
    limitMs: number,
    handlers: StreamHandlers<LeaseKeepAliveResponse>,
    signal?: AbortSignal,
  ): Promise<KeepAliveStream> {
    const { path, end } = await this.#connection.connect(endpoint, limitMs, handlers, signal, {
      open: () => {},
      close: () => {},
    });
    const renew = (id: LeaseId) =>
      path.toServer(() => {
        const ttlSeconds = this.#etcd.renew(id);
        path.toClient(() => handlers.onMessage({ id, ttlSeconds }));
      });
    return { endpoint, renew, close: end };
  }

  close(): void {
    this.#connection.close();
  }

  #call<T>(
    name: string,
    kind: "read" | "idempotent" | "write",
    options: CallOptions | undefined,
    execute: () => T,
    requestBytes?: number,
  ): Promise<T> {
    return this.#connection.call({ name, kind, requestBytes }, options, execute);
  }

  /** As much is taken off the keys as was put before the range of this watch. */
  #withoutNamespace(response: WatchResponse, handlers: WatchHandlers): WatchResponse {
    if (response.events.length === 0) return response;
    const length = handlers.namespaceBytes?.(response.watchId) ?? 0;
    const space = length > 0 ? this.#namespace.within(Buffer.alloc(length)) : this.#namespace;
    return { ...response, events: response.events.map((event) => space.event(event)) };
  }
}

function onlyReads({ success, failure }: Pick<TxnRequest, "success" | "failure">): boolean {
  return [...success, ...failure].every((op) => op.type === "range" || (op.type === "txn" && onlyReads(op)));
}
