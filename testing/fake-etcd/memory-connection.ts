import type {
  ConnectionNotices,
  DescribedOptions,
  StreamEndpoint,
  StreamHandlers,
} from "../../src/connection/index.ts";
import { ClientClosedError, type EtcdError, UnavailableError } from "../../src/index.ts";
import { channels } from "../../src/internal/channels.ts";
import { type Clock, onAbort, systemClock, type Timer } from "../../src/internal/index.ts";
import { call, type MemoryCall } from "./memory-call.ts";
import type { Network, StreamPath } from "./network.ts";

/** A way to the one etcd, under a URL of its own. */
export interface MemoryEndpoint extends StreamEndpoint {
  readonly network: Network;
}

export interface MemoryConnectionOptions {
  /** An open stream keeps the process from ending, as a socket does. */
  readonly holdsProcess: boolean;
  readonly clock: Clock;
  readonly endpoints: readonly MemoryEndpoint[];
  readonly requestTimeoutMs: number;
  readonly notices: ConnectionNotices | undefined;
}

/** What is asked of a call besides its options. */
interface Asked<T> {
  readonly name: string;
  readonly kind: MemoryCall<T>["kind"];
  /** How long the request is. @default 0 */
  readonly requestBytes?: number | undefined;
  /** @default each attempt goes to the next one */
  readonly endpoint?: MemoryEndpoint | undefined;
}

/** What the server has of a stream. */
interface ServerEnd<Server> {
  open(path: StreamPath): Server;
  /** Called once when the stream is over, whichever end it was that ended it. */
  close(server: Server): void;
}

/** The calls and streams of one client, and of its namespaces. */
export class MemoryConnection {
  readonly endpoints: readonly MemoryEndpoint[];
  readonly requestTimeoutMs: number;
  readonly #clock: Clock;
  readonly #notices: ConnectionNotices | undefined;
  readonly #closing = new AbortController();
  readonly #open = new Set<{ end(error: EtcdError): void }>();
  readonly #connected = new Set<MemoryEndpoint>();
  readonly #holdsProcess: boolean;
  #held: Timer | undefined;
  #calls = 0;
  #streams: MemoryEndpoint;

  constructor({ clock, endpoints, requestTimeoutMs, notices, holdsProcess }: MemoryConnectionOptions) {
    this.#clock = clock;
    this.#holdsProcess = holdsProcess;
    this.endpoints = endpoints;
    this.requestTimeoutMs = requestTimeoutMs;
    this.#notices = notices;
    this.#streams = endpoints[0] as MemoryEndpoint;
  }

  async call<T>(asked: Asked<T>, options: DescribedOptions = {}, execute: () => T): Promise<T> {
    const { name, kind, requestBytes, endpoint } = asked;
    const { signal, timeoutMs = this.requestTimeoutMs, described } = options;
    if (channels.calls.heard && !described) {
      const trace = channels.calls.begin({ ...onTheWire(name), attempt: 0, batchSize: 1 });
      return trace.follow(this.call(asked, { ...options, described: trace.message }, execute));
    }
    const ended = this.#closing.signal;
    if (ended.aborted) throw new ClientClosedError("the client is closed");
    const network = () => {
      const next = endpoint ?? this.#nextEndpoint();
      if (described) {
        described.attempt++;
        described.endpoint = next.url;
        described.grpcStatus = undefined;
      }
      return this.#noticing(next);
    };
    const failed = (grpcStatus: number) => {
      if (described) described.grpcStatus = grpcStatus;
    };
    return call({ name, kind, requestBytes, timeoutMs, signal, clock: this.#clock, network, failed, execute, ended });
  }

  streamEndpoints(after?: StreamEndpoint): MemoryEndpoint[] {
    const first = after ? this.endpoints.indexOf(after as MemoryEndpoint) + 1 : this.endpoints.indexOf(this.#streams);
    return this.endpoints.map((_, index) => this.endpoints[(first + index) % this.endpoints.length] as MemoryEndpoint);
  }

  streamWorked(endpoint: StreamEndpoint): void {
    this.#streams = endpoint as MemoryEndpoint;
  }

  streamFailed(endpoint: StreamEndpoint): void {
    this.#streams = this.streamEndpoints(endpoint)[0] as MemoryEndpoint;
  }

  /** Opens a stream with both of its ends in one step: whenever it ends after that, both are there to be closed. */
  async connect<Server>(
    endpoint: StreamEndpoint,
    limitMs: number,
    { onEnd }: StreamHandlers<never>,
    signal: AbortSignal | undefined,
    atServer: ServerEnd<Server>,
  ): Promise<{ path: StreamPath; server: Server; end: () => void }> {
    const { url, network } = endpoint as MemoryEndpoint;
    const closing = this.#closing.signal;
    if (closing.aborted) throw new ClientClosedError("the client is closed");
    const breaking = new AbortController();
    const path = await network.connect(limitMs, () => {
      const error = new UnavailableError(`${url}: the connection was reset`, { retryable: true });
      this.#disconnected(endpoint as MemoryEndpoint, error);
      breaking.abort(error);
    });
    if (!path) throw new UnavailableError(`${url}: no connection within ${limitMs} ms`, { retryable: true });
    const over = [signal, closing, breaking.signal].find((by) => by?.aborted);
    if (over) {
      path.close();
      throw over.reason;
    }
    const server = atServer.open(path);
    const end = () => {
      path.close();
      if (!this.#open.delete(stream)) return false;
      this.#hold();
      atServer.close(server);
      return true;
    };
    const stream = {
      end: (error: EtcdError) => {
        if (end()) onEnd(error);
      },
    };
    this.#open.add(stream);
    this.#hold();
    onAbort(breaking.signal, () => stream.end(breaking.signal.reason));
    // Last: a listener may break it.
    this.#connectedTo(endpoint as MemoryEndpoint);
    return { path, server, end };
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    const reason = new ClientClosedError("the client was closed during the call");
    this.#closing.abort(reason);
    for (const stream of [...this.#open]) stream.end(reason);
    for (const endpoint of [...this.#connected]) this.#disconnected(endpoint, reason);
  }

  #nextEndpoint(): MemoryEndpoint {
    return this.endpoints[this.#calls++ % this.endpoints.length] as MemoryEndpoint;
  }

  /** The way to an endpoint; what happens on it says whether there is a connection. */
  #noticing(endpoint: MemoryEndpoint): Network {
    const { network, url } = endpoint;
    if (!this.#notices) return network;
    const lost = () => this.#disconnected(endpoint, new UnavailableError(`${url}: the connection was reset`));
    return {
      request: (arrive, lose) =>
        network.request(
          () => {
            this.#connectedTo(endpoint);
            arrive();
          },
          (how) => {
            lost();
            lose(how);
          },
        ),
      answer: (arrive, lose) =>
        network.answer(arrive, (how) => {
          lost();
          lose(how);
        }),
      connect: (limitMs, broke) => network.connect(limitMs, broke),
    };
  }

  #hold(): void {
    const holds = this.#holdsProcess && this.#open.size > 0;
    if (holds) this.#held ??= systemClock.timer(Number.MAX_SAFE_INTEGER, () => {});
    else {
      this.#held?.cancel();
      this.#held = undefined;
    }
  }

  #connectedTo(endpoint: MemoryEndpoint): void {
    if (this.#connected.has(endpoint)) return;
    this.#connected.add(endpoint);
    this.#notices?.connected(endpoint.url);
  }

  #disconnected(endpoint: MemoryEndpoint, reason: Error): void {
    if (this.#connected.delete(endpoint)) this.#notices?.disconnected(endpoint.url, reason);
  }
}

/** As gRPC names a call that our errors name `KV.range`. */
function onTheWire(name: string): { service: string; method: string } {
  const [service = "", method = ""] = name.split(".");
  return { service: `etcdserverpb.${service}`, method: method.charAt(0).toUpperCase() + method.slice(1) };
}
