import { AuthClient, type ICallable, type IStatusResponse } from "etcd3/lib/rpc.js";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { type GrpcStream, grpcStatus } from "../grpc/index.ts";
import { asError } from "../internal/as-error.ts";
import type { Runtime } from "../internal/runtime.ts";
import { type Attempt, attempt } from "./attempt.ts";
import { attemptStream, type PartSink } from "./attempt-stream.ts";
import { Authenticator, type Token } from "./auth/authenticator.ts";
import { callMetadata } from "./auth/call-metadata.ts";
import { TokenProbe } from "./auth/token-probe.ts";
import { ATTEMPT_LIMIT_MS, attemptLimitMs, CallAttempts, type CallRoutes } from "./call-attempts.ts";
import { CallScope } from "./call-scope.ts";
import type { ServiceName } from "./codec/stub-messages.ts";
import { stubCall, type WireCall } from "./codec/wire-call.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { Endpoint, type Lane } from "./endpoints/endpoint.ts";
import type { EndpointChannel } from "./endpoints/endpoint-channel.ts";
import { EndpointSet } from "./endpoints/endpoint-set.ts";
import type { EndpointUrl } from "./endpoints/endpoint-url.ts";
import { IdleProof } from "./endpoints/idle-proof.ts";
import { type Failure, translateFailure } from "./errors/error-translation.ts";
import { Outage } from "./outage.ts";
import { ReplyStream } from "./reply-stream.ts";
import type { RpcOptions, StubOptions } from "./rpc-options.ts";
import type { StreamHandlers } from "./stream-handlers.ts";
import { TlsCredentials } from "./tls/tls-credentials.ts";

/**
 * Carries calls, etcd3's typed stubs among them, over channels of our own. A call moves from endpoint to endpoint
 * within its time; a stream is opened on one endpoint and belongs to its opener.
 */
export class Connection implements ICallable<Endpoint> {
  readonly callOptionsFactory = undefined;
  readonly endpoints: EndpointSet;
  readonly secure: boolean;
  readonly #endpointAt: (url: EndpointUrl) => Endpoint;
  readonly #runtime: Runtime;
  readonly #open = new Set<CallScope>();
  readonly #authenticator: Authenticator | undefined;
  readonly #probe = new TokenProbe((endpoint, channel) => this.#askRaftIndex(endpoint, channel));
  readonly #idleProof = new IdleProof((channel, limitMs) => this.#askStatus(channel, limitMs));
  readonly #outage: Outage | undefined;
  readonly #routes: CallRoutes;
  #closed = false;

  constructor(options: ConnectionOptions) {
    const { endpoints, dialTimeoutMs, requestTimeoutMs, tls, auth, runtime, notices, warnUnreachable = true } = options;
    this.#runtime = runtime;
    if (warnUnreachable) this.#outage = new Outage(runtime.clock);
    this.secure = endpoints.some((endpoint) => endpoint.secure);
    const credentials = this.secure ? new TlsCredentials(tls ?? {}) : undefined;
    this.#endpointAt = (url) => new Endpoint({ url, tls: credentials, dialTimeoutMs, runtime, notices });
    this.endpoints = new EndpointSet(endpoints.map(this.#endpointAt), runtime);
    if (auth) {
      const stubs = new AuthClient(this);
      this.#authenticator = new Authenticator({
        runtime,
        requestTimeoutMs,
        // Where there is nobody else to ask, asking again would only be more work for the same etcd.
        attemptLimitMs: attemptLimitMs(requestTimeoutMs) * (endpoints.length > 1 ? 1 : 3),
        ask: async (rpc) => (await stubs.authenticate({ name: auth.username, password: auth.password }, rpc)).token,
      });
    }
    this.#routes = {
      endpoints: this.endpoints,
      runtime,
      authenticator: this.#authenticator,
      probe: this.#probe,
      idleProof: this.#idleProof,
      worked: (lane, endpoint) => this.worked(lane, endpoint),
      failed: (endpoint, error) => this.#failed(endpoint, error),
    };
  }

  /** An endpoint failed, and is to blame for it. */
  #failed(endpoint: Endpoint, error: Error): void {
    endpoint.failed();
    this.#outage?.failed(endpoint.url, error, this.endpoints.all);
  }

  /** Something was answered there. */
  worked(lane: Lane, endpoint: Endpoint): void {
    this.#outage?.over();
    this.endpoints.worked(lane, endpoint);
  }

  /** @throws InvalidOptionError for endpoints of the other scheme; ClientClosedError */
  setEndpoints(urls: readonly EndpointUrl[]): void {
    if (this.#closed) throw new ClientClosedError("the client is closed");
    if (urls.some(({ secure }) => secure !== this.secure)) {
      const scheme = this.secure ? "https" : "http";
      throw new InvalidOptionError(
        "setEndpoints",
        "endpoints",
        `must be ${scheme}, as those that the client was made with`,
      );
    }
    const known = new Map(this.endpoints.all.map((endpoint) => [endpoint.url, endpoint]));
    const next = urls.map((url) => known.get(url.url) ?? this.#endpointAt(url));
    for (const endpoint of this.endpoints.replace(next)) endpoint.retire();
  }

  /** For etcd3's stubs. */
  async exec<T>(service: ServiceName, method: string, payload: object, options?: StubOptions): Promise<T> {
    const { call, encode } = stubCall<T>(service, method);
    return this.call(call, encode(payload), options as RpcOptions);
  }

  call<Response>(call: WireCall<Response>, request: Buffer, rpc: RpcOptions): Promise<Response> {
    if (this.#closed) return Promise.reject(new ClientClosedError("the client is closed"));
    const scope = new CallScope(rpc.signal, this.#open);
    const send = (at: Attempt) => attempt(scope, call, request, at);
    return new CallAttempts(this.#routes, scope, { name: call.name, rpc, requestBytes: request.length, send }).run();
  }

  /**
   * A read whose answer comes in parts; resolves when the last of them is taken. It moves from endpoint to endpoint until the
   * first part has come: after that, a failure ends it.
   */
  stream<Part>(call: WireCall<Part>, request: Buffer, rpc: RpcOptions, sink: PartSink<Part>): Promise<void> {
    if (this.#closed) return Promise.reject(new ClientClosedError("the client is closed"));
    const scope = new CallScope(rpc.signal, this.#open);
    let begun = false;
    const take = (part: Part) => {
      begun = true;
      return sink(part);
    };
    return new CallAttempts(this.#routes, scope, {
      name: call.name,
      rpc,
      requestBytes: request.length,
      send: (at) => attemptStream(scope, call, request, at, take),
      begun: () => begun,
    }).run();
  }

  /** For etcd3's stubs, of which we use none that opens a stream. */
  withConnection(): Promise<never> {
    return Promise.reject(new TypeError("streams are opened by openStream()"));
  }

  /**
   * Opens a stream, which belongs to its opener. A token that is not accepted is forgotten: the next one gets another.
   *
   * @throws UnavailableError when there is no connection within `limitMs`; UnauthenticatedError for a bad password
   */
  async openStream(
    path: string,
    endpoint: Endpoint,
    limitMs: number,
    { onMessage, onEnd }: StreamHandlers<Buffer>,
  ): Promise<GrpcStream> {
    if (this.#closed) throw new ClientClosedError("the client is closed");
    const token = await this.#authenticator?.tokenWithin(limitMs, noToken);
    const channel = await endpoint.connect("streams", limitMs).catch((error: unknown) => {
      this.#failed(endpoint, asError(error));
      throw error;
    });
    if (this.#closed) throw new ClientClosedError("the client is closed");
    const end = (cause: unknown) => {
      const { error, endpointAtFault } = translateFailure(cause, { write: false });
      if (token && error instanceof UnauthenticatedError) this.#authenticator?.forget(token);
      if (endpointAtFault) endpoint.memberFailed("streams", channel);
      onEnd(error);
    };
    const ended = () => new UnavailableError(`${endpoint.url}: the server ended the stream`, { retryable: true });
    const stream = channel.grpc.stream(
      path,
      { metadata: callMetadata(path, token) },
      {
        onMessage,
        onEnd: (failure) => end(failure ?? ended()),
      },
    );
    if (token) {
      // A stream need not wait for that: it is ended if it was opened in vain.
      void this.#isOfAnotherHistory(token, endpoint, channel).then((isOther) => {
        if (!isOther) return;
        stream.cancel();
        end(new UnavailableError(`${endpoint.url}: its history is not the token's`, { retryable: true }));
      });
    }
    return stream;
  }

  /**
   * Sends a request that is answered in many messages, to the member that calls go to, and once: who reads them has other
   * ways to go on. Resolves when the first of them is here.
   *
   * @returns undefined where the server does not know the call, which is remembered for as long as the connection lasts
   * @throws what keeps the server from answering; ClientClosedError; `signal.reason`
   */
  async openReply(path: string, request: Buffer, { signal, timeoutMs }: RpcOptions): Promise<ReplyStream | undefined> {
    const scope = new CallScope(signal, this.#open);
    const reply = new ReplyStream(scope, this.#runtime.clock);
    try {
      if (this.#closed) throw new ClientClosedError("the client is closed");
      const limitMs = attemptLimitMs(timeoutMs);
      const endpoint = this.endpoints.inOrder("calls")[0] as Endpoint;
      const channel = await scope.waitFor(() => endpoint.connect("calls", limitMs));
      if (channel.unknownCalls.has(path)) {
        reply.close();
        return undefined;
      }
      const token = await scope.waitFor(async () => this.#authenticator?.tokenWithin(limitMs, noToken));
      if (channel.closed) throw new UnavailableError("the connection was closed before the call was sent");
      const stream = channel.grpc.stream(path, { metadata: callMetadata(path, token) }, reply);
      reply.opened(stream);
      stream.write(request);
      stream.end();
      const over = await reply.begun(limitMs);
      if (over?.failure?.code !== grpcStatus.UNIMPLEMENTED) return reply;
      channel.unknownCalls.add(path);
      reply.close();
      return undefined;
    } catch (error) {
      reply.close();
      throw error;
    }
  }

  /** The stubs call this for every stream that ends, also for one that we ended ourselves: whoever owns the stream judges. */
  markFailed(): void {}

  /** Ends every call under way with ClientClosedError and closes all connections. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const reason = new ClientClosedError("the client was closed during the call");
    for (const scope of [...this.#open]) scope.end(reason);
    for (const endpoint of this.endpoints.all) endpoint.close();
  }

  /** Of a member that does not answer the stream hears by itself. */
  async #isOfAnotherHistory(token: Token, endpoint: Endpoint, channel: EndpointChannel): Promise<boolean> {
    const fits = await this.#probe.fits(token, endpoint, channel)?.catch(() => true);
    if (fits !== false) return false;
    this.#authenticator?.forget(token);
    return true;
  }

  /** How far a member is. Etcd says it to everybody; one that keeps it to itself is taken to be far enough. */
  async #askRaftIndex(endpoint: Endpoint, channel: EndpointChannel): Promise<number> {
    try {
      return Number((await this.#askStatus(channel, ATTEMPT_LIMIT_MS)).raftIndex);
    } catch (cause) {
      const { error } = translateFailure(cause, { write: false });
      if (error instanceof EtcdTimeoutError) endpoint.drop("calls", channel);
      if (error instanceof UnavailableError || error instanceof EtcdTimeoutError) throw error;
      return Number.POSITIVE_INFINITY;
    }
  }

  /** What the member at the other end says of itself, which costs it little. */
  async #askStatus(channel: EndpointChannel, limitMs: number): Promise<IStatusResponse> {
    const scope = new CallScope(undefined, this.#open);
    const { call, encode } = stubCall<IStatusResponse>("Maintenance", "status");
    try {
      return await attempt(scope, call, encode({}), { channel, kind: "read", limitMs, token: undefined });
    } finally {
      scope.release();
    }
  }
}

function noToken(last: Failure | undefined): Error {
  const why = last ? `; last: ${last.error.message}` : "";
  return new UnavailableError(`no token yet${why}`, { cause: last?.error, retryable: true });
}
