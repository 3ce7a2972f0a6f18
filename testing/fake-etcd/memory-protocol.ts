import type { LeaseGrantResponse, TxnRequest } from "../../src/connection/codec/messages.ts";
import type {
  AdminProtocol,
  KeepAliveStream,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  Protocol,
  StreamEndpoint,
  StreamHandlers,
  WatchResponse,
  WatchStream,
} from "../../src/connection/index.ts";
import { type CallOptions, ClientClosedError, type EtcdError, UnavailableError } from "../../src/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";
import { call, type MemoryCall } from "./memory-call.ts";
import type { MemoryEtcd } from "./memory-etcd.ts";
import { type Network, reliableNetwork, type StreamPath } from "./network.ts";

/** A way to the one etcd, under a URL of its own. */
export interface MemoryEndpoint extends StreamEndpoint {
  readonly network: Network;
}

export interface MemoryProtocolOptions {
  /** The clock of the client. @default that of the etcd */
  readonly clock?: Clock | undefined;
  /** @default one that everything goes through */
  readonly endpoints?: readonly MemoryEndpoint[] | undefined;
  /** @default 5000 */
  readonly requestTimeoutMs?: number | undefined;
}

/** The Protocol of a client whose etcd is in memory. */
export class MemoryProtocol implements Protocol {
  readonly requestTimeoutMs: number;
  readonly endpoints: readonly MemoryEndpoint[];
  readonly #etcd: MemoryEtcd;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #open = new Set<{ end(error: EtcdError): void }>();
  #calls = 0;
  #streams: MemoryEndpoint;

  constructor(etcd: MemoryEtcd, options: MemoryProtocolOptions = {}) {
    const { clock = etcd.clock, requestTimeoutMs = 5_000, endpoints } = options;
    this.#etcd = etcd;
    this.#clock = clock;
    this.requestTimeoutMs = requestTimeoutMs;
    this.endpoints = endpoints ?? [{ url: "http://memory:2379", network: reliableNetwork }];
    this.#streams = this.endpoints[0] as MemoryEndpoint;
  }

  within(): Protocol {
    throw new Error("the etcd in memory has no namespaces");
  }

  readonly secure = false;

  get unreached(): undefined {
    return undefined;
  }

  setEndpoints(): void {
    throw new TypeError("the endpoints of the etcd in memory do not change");
  }

  async readLinearizably(...[endpoint, options]: Parameters<Protocol["readLinearizably"]>): Promise<StreamEndpoint> {
    await this.range({ range: { start: Buffer.from("health") }, keysOnly: true, limit: 1 }, options);
    return endpoint ?? (this.endpoints[0] as MemoryEndpoint);
  }

  get admin(): AdminProtocol {
    throw new TypeError("the etcd in memory has no users and roles, and no members to care for");
  }

  range(...[request, options]: Parameters<Protocol["range"]>): ReturnType<Protocol["range"]> {
    return this.#call("KV.range", "read", options, () => this.#etcd.range(request));
  }

  /** It has none, as etcd before 3.7. */
  async openRangeStream(): Promise<undefined> {
    return undefined;
  }

  compact(revision: number, _physical: boolean, options?: CallOptions): Promise<void> {
    return this.#call("KV.compact", "write", options, () => this.#etcd.compact(revision));
  }

  put(...[request, options]: Parameters<Protocol["put"]>): ReturnType<Protocol["put"]> {
    return this.#call("KV.put", "write", options, () => this.#etcd.put(request));
  }

  deleteRange(...[request, options]: Parameters<Protocol["deleteRange"]>): ReturnType<Protocol["deleteRange"]> {
    return this.#call("KV.deleteRange", "write", options, () => this.#etcd.deleteRange(request));
  }

  txn(...[request, options]: Parameters<Protocol["txn"]>): ReturnType<Protocol["txn"]> {
    return this.#call("KV.txn", onlyReads(request) ? "read" : "write", options, () => this.#etcd.txn(request));
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

  leaseTimeToLive(id: LeaseId, keys: boolean, options?: CallOptions): Promise<LeaseTimeToLiveResponse> {
    return this.#call("Lease.leaseTimeToLive", "read", options, () => this.#etcd.leaseTimeToLive(id, keys));
  }

  memberStatus(endpoint: StreamEndpoint | undefined, options?: CallOptions): Promise<MemberStatus> {
    return this.#call("Maintenance.status", "read", options, () => this.#etcd.status(), endpoint as MemoryEndpoint);
  }

  streamEndpoints(after?: StreamEndpoint): StreamEndpoint[] {
    const first = after ? this.endpoints.indexOf(after as MemoryEndpoint) + 1 : this.endpoints.indexOf(this.#streams);
    return this.endpoints.map((_, index) => this.endpoints[(first + index) % this.endpoints.length] as StreamEndpoint);
  }

  streamWorked(endpoint: StreamEndpoint): void {
    this.#streams = endpoint as MemoryEndpoint;
  }

  streamFailed(endpoint: StreamEndpoint): void {
    this.#streams = this.streamEndpoints(endpoint)[0] as MemoryEndpoint;
  }

  async openWatch(
    endpoint: StreamEndpoint,
    limitMs: number,
    handlers: StreamHandlers<WatchResponse>,
    signal?: AbortSignal,
  ): Promise<WatchStream> {
    const { path, end } = await this.#connect(endpoint, limitMs, handlers, signal, () =>
      this.#etcd.closeWatchStream(server),
    );
    const server = this.#etcd.openWatchStream((response) => path.toClient(() => handlers.onMessage(response)));
    return {
      endpoint,
      create: (request) => path.toServer(() => server.create(request)),
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
    const { path, end } = await this.#connect(endpoint, limitMs, handlers, signal, () => {});
    const renew = (id: LeaseId) =>
      path.toServer(() => {
        const ttlSeconds = this.#etcd.renew(id);
        path.toClient(() => handlers.onMessage({ id, ttlSeconds }));
      });
    return { endpoint, renew, close: end };
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    const reason = new ClientClosedError("the client was closed during the call");
    this.#closing.abort(reason);
    for (const stream of [...this.#open]) stream.end(reason);
  }

  async #call<T>(
    name: string,
    kind: MemoryCall<T>["kind"],
    { signal, timeoutMs = this.requestTimeoutMs }: CallOptions = {},
    execute: () => T,
    endpoint?: MemoryEndpoint,
  ): Promise<T> {
    const ended = this.#closing.signal;
    if (ended.aborted) throw new ClientClosedError("the client is closed");
    const network = () => (endpoint ?? this.#nextEndpoint()).network;
    return call({ name, kind, timeoutMs, signal, clock: this.#clock, network, execute, ended });
  }

  /** Each attempt goes to the next one. */
  #nextEndpoint(): MemoryEndpoint {
    return this.endpoints[this.#calls++ % this.endpoints.length] as MemoryEndpoint;
  }

  async #connect(
    endpoint: StreamEndpoint,
    limitMs: number,
    { onEnd }: StreamHandlers<never>,
    signal: AbortSignal | undefined,
    atServer: () => void,
  ): Promise<{ path: StreamPath; end: () => void }> {
    const { url, network } = endpoint as MemoryEndpoint;
    if (this.#closing.signal.aborted) throw new ClientClosedError("the client is closed");
    let over = false;
    const finish = () => {
      if (over) return false;
      over = true;
      this.#open.delete(stream);
      atServer();
      return true;
    };
    const stream = {
      end: (error: EtcdError) => {
        path?.close();
        if (finish()) onEnd(error);
      },
    };
    const broke = () => stream.end(new UnavailableError(`${url}: the connection was reset`, { retryable: true }));
    const path = await network.connect(limitMs, broke);
    if (!path) throw new UnavailableError(`${url}: no connection within ${limitMs} ms`, { retryable: true });
    if (signal?.aborted || this.#closing.signal.aborted) {
      path.close();
      throw signal?.aborted ? signal.reason : this.#closing.signal.reason;
    }
    this.#open.add(stream);
    const end = () => {
      path.close();
      finish();
    };
    return { path, end };
  }
}

function onlyReads({ success, failure }: Pick<TxnRequest, "success" | "failure">): boolean {
  return [...success, ...failure].every((op) => op.type === "range" || (op.type === "txn" && onlyReads(op)));
}
