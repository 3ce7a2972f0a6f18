import type { UnavailableError } from "../errors/unavailable-error.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { AdminProtocol } from "./admin-protocol.ts";
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  PutRequest,
  PutResponse,
  RangePart,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchResponse,
} from "./codec/messages.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import type { EndpointUrl } from "./endpoints/endpoint-url.ts";
import type { StreamEndpoint } from "./stream-endpoint.ts";
import type { StreamHandlers } from "./stream-handlers.ts";

/** Parts of a range, in order. */
export interface RangeStream {
  /**
   * @returns undefined when all parts were read
   * @throws what the stream ended with; EtcdTimeoutError when nothing comes within the time of an attempt;
   *   `signal.reason`
   */
  next(): Promise<RangePart | undefined>;
  close(): void;
}

export interface WatchStream {
  readonly endpoint: StreamEndpoint;
  create(request: WatchCreateRequest): void;
  cancel(watchId: string): void;
  /**
   * Asks for an answer with the id -1, which is nothing but a sign of life (GUARANTEES 5). Some servers and proxies do
   * not answer.
   */
  requestProgress(): void;
  close(): void;
}

export interface WatchHandlers extends StreamHandlers<WatchResponse> {
  /** How long the namespace of a watch is, by its number: as much is taken off its keys. @default 0 */
  namespaceBytes?(watchId: string): number;
}

export interface KeepAliveStream {
  readonly endpoint: StreamEndpoint;
  renew(id: LeaseId): void;
  close(): void;
}

export interface ProtocolOptions extends ConnectionOptions {
  readonly namespace: Uint8Array;
}

/**
 * The etcd v3 protocol in our words: all that kv, lease and watch know of this room. It connects when it is first used.
 */
export interface Protocol {
  /** What a call has that names no time of its own, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly endpoints: readonly StreamEndpoint[];
  /** Whether the endpoints are secured by TLS. What is secured stays so. */
  readonly secure: boolean;
  /**
   * From now on these are the endpoints. What is connected and stays is not touched; calls under way on the others may
   * finish, and their streams end, to be opened elsewhere.
   *
   * @param origin what is `given` holds; what the `members` say is replaced by what DNS says when none of them can be
   *   reached
   * @throws InvalidOptionError for endpoints of the other scheme
   */
  setEndpoints(endpoints: readonly EndpointUrl[], origin: "given" | "members"): void;
  /** How often the user has set them. */
  readonly endpointsGiven: number;
  /** Why no endpoint can be reached, while that is so. */
  readonly unreached: UnavailableError | undefined;
  /**
   * A linearizable read of a key, by `endpoint` or by any.
   *
   * @param asked each endpoint that is asked is added here, the one that answers as the last
   */
  readLinearizably(endpoint: StreamEndpoint | undefined, asked: StreamEndpoint[], options?: CallOptions): Promise<void>;
  /** The same connections for keys that begin with `namespace`, after the one of this. Closing that closes none. */
  within(namespace: Uint8Array): Protocol;
  readonly admin: AdminProtocol;
  range(request: RangeRequest, options?: CallOptions): Promise<RangeResponse>;
  /**
   * Reads a range in many answers, by the call that etcd has since 3.7, from the member that calls go to and without a
   * second attempt. Neither sorted nor with bounds of revisions.
   *
   * @returns undefined where the server does not have that call
   */
  openRangeStream(request: RangeRequest, options?: CallOptions): Promise<RangeStream | undefined>;
  put(request: PutRequest, options?: CallOptions): Promise<PutResponse>;
  deleteRange(request: DeleteRangeRequest, options?: CallOptions): Promise<DeleteRangeResponse>;
  txn(request: TxnRequest, options?: CallOptions): Promise<TxnResponse>;
  /** @param physical to wait until the member that was asked has freed the space */
  compact(revision: number, physical: boolean, options?: CallOptions): Promise<void>;
  /** Repeated safely: the id is the caller's, so a second grant finds the first. */
  leaseGrant(id: LeaseId, ttlSeconds: number, options?: CallOptions): Promise<LeaseGrantResponse>;
  /** Repeated safely. */
  leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void>;
  /** All that there are, as the member that is asked knows them. */
  leaseLeases(options?: CallOptions): Promise<readonly LeaseId[]>;
  leaseTimeToLive(id: LeaseId, keys: boolean, options?: CallOptions): Promise<LeaseTimeToLiveResponse>;
  /** Of `endpoint`, or of the member that calls go to at the moment. */
  memberStatus(endpoint: StreamEndpoint | undefined, options?: CallOptions): Promise<MemberStatus>;
  /** Where to open a stream: the best first. `after`: those behind it in turn come first. */
  streamEndpoints(after?: StreamEndpoint): StreamEndpoint[];
  /** Says that a stream on this endpoint works: the next one starts there. */
  streamWorked(endpoint: StreamEndpoint): void;
  /**
   * Says that a stream on this endpoint ended, or does not answer: the next one starts elsewhere first. After silence
   * it also gets a new connection; streams on the old one go on until they end.
   */
  streamFailed(endpoint: StreamEndpoint, how: "broken" | "silent"): void;
  /** @throws UnavailableError when there is no connection within `limitMs` */
  openWatch(
    endpoint: StreamEndpoint,
    limitMs: number,
    handlers: WatchHandlers,
    signal?: AbortSignal,
  ): Promise<WatchStream>;
  /** @throws UnavailableError when there is no connection within `limitMs` */
  openKeepAlive(
    endpoint: StreamEndpoint,
    limitMs: number,
    handlers: StreamHandlers<LeaseKeepAliveResponse>,
    signal?: AbortSignal,
  ): Promise<KeepAliveStream>;
  /** Ends every call under way and closes all connections. */
  close(): void;
}
