import { AuthClient, type ICallable, type IStatusResponse } from "etcd3/lib/rpc.js";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { type GrpcStream, grpcStatus } from "../grpc/index.ts";
import { within } from "../internal/abort.ts";
import { asError } from "../internal/as-error.ts";
import { Backoff } from "../internal/backoff.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import { type Attempt, attempt } from "./attempt.ts";
import { attemptStream, type PartSink } from "./attempt-stream.ts";
import { Authenticator, type Token } from "./auth/authenticator.ts";
import { callMetadata } from "./auth/call-metadata.ts";
import { TokenProbe } from "./auth/token-probe.ts";
import { CallScope } from "./call-scope.ts";
import type { ServiceName } from "./codec/stub-messages.ts";
import { stubCall, type WireCall } from "./codec/wire-call.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { Endpoint, type Lane } from "./endpoints/endpoint.ts";
import type { EndpointChannel } from "./endpoints/endpoint-channel.ts";
import { EndpointSet } from "./endpoints/endpoint-set.ts";
import type { EndpointUrl } from "./endpoints/endpoint-url.ts";
import { IdleProof } from "./endpoints/idle-proof.ts";
import { type Failure, isOfOldRevision, translateFailure } from "./errors/error-translation.ts";
import { outOfTime } from "./out-of-time.ts";
import { Outage } from "./outage.ts";
import { ReplyStream } from "./reply-stream.ts";
import type { RpcOptions, StubOptions } from "./rpc-options.ts";
import type { StreamHandlers } from "./stream-handlers.ts";
import { TlsCredentials } from "./tls/tls-credentials.ts";
import { TlsError } from "./tls/tls-error.ts";

const debug = log("connection");

/** No attempt that can be repeated elsewhere waits longer for one endpoint. */
const ATTEMPT_LIMIT_MS = 2_000;
/** What may write is not sent once more when less is left, or less than a tenth of the call's time. */
const LEAST_ATTEMPT_MS = 100;
/** A fresh token may be refused, by a member that has not heard of it yet for instance: not for ever, but more than once. */
const MOST_RENEWALS = 3;
/** What is unanswered for less says nothing about the connection, only about the caller's patience. */
const SILENCE_MS = 500;

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
    return this.#inScope(rpc, (scope) =>
      this.#tryEndpoints(scope, call, request, rpc, (at) => attempt(scope, call, request, at)),
    );
  }

  /**
   * A read whose answer comes in parts; resolves when the last of them is taken. It moves from endpoint to endpoint until the
   * first part has come: after that, a failure ends it.
   */
  stream<Part>(call: WireCall<Part>, request: Buffer, rpc: RpcOptions, sink: PartSink<Part>): Promise<void> {
    let begun = false;
    const take = (part: Part) => {
      begun = true;
      return sink(part);
    };
    return this.#inScope(rpc, (scope) =>
      this.#tryEndpoints(
        scope,
        call,
        request,
        rpc,
        (at) => attemptStream(scope, call, request, at, take),
        () => begun,
      ),
    );
  }

  async #inScope<Response>(rpc: RpcOptions, work: (scope: CallScope) => Promise<Response>): Promise<Response> {
    const scope = new CallScope(rpc.signal, this.#open);
    try {
      if (this.#closed) throw new ClientClosedError("the client is closed");
      return await work(scope);
    } finally {
      scope.release();
    }
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
      endpoint.failed();
      this.#outage?.failed(endpoint.url, asError(error), this.endpoints.all);
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

  /**
   * @param send makes one attempt
   * @param begun whether what has come of an attempt rules out another one
   */
  async #tryEndpoints<Response>(
    scope: CallScope,
    { name }: { readonly name: string },
    request: Buffer,
    rpc: RpcOptions,
    send: (at: Attempt) => Promise<Response>,
    begun: () => boolean = () => false,
  ): Promise<Response> {
    const { clock } = this.#runtime;
    const { kind, patience, timeoutMs } = rpc;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const leftMs = () => deadlineMs - clock.monotonicMs();
    const leastMs = kind === "read" ? 0 : Math.min(LEAST_ATTEMPT_MS, timeoutMs / 10);
    const backoff = new Backoff(this.#runtime, { initialMs: 20, maxMs: 500 });
    let last: Failure | undefined;
    let maybeExecuted = false;
    let renewals = 0;
    for (;;) {
      const token = rpc.anonymous
        ? undefined
        : await this.#authenticator?.tokenFor({
            scope,
            deadlineMs,
            outOfTime: (failure) => outOfTime(name, timeoutMs, failure, maybeExecuted),
          });
      let refused = false;
      let insecure = true;
      for (const endpoint of rpc.only ? [rpc.only] : this.endpoints.inOrder("calls")) {
        const remainingMs = leftMs();
        // One more attempt with hardly any time would hide why the one before it failed, and leave open what became of
        // a write.
        if (remainingMs <= (last ? leastMs : 0)) throw outOfTime(name, timeoutMs, last, maybeExecuted);
        const mostMs = patience?.attemptLimitMs ?? attemptLimitMs(timeoutMs);
        const waitMs = Math.min(mostMs, remainingMs);
        let channel: EndpointChannel | undefined;
        let limitMs = waitMs;
        try {
          channel = await scope.waitFor(() => endpoint.connect("calls", waitMs));
          const fits = token && renewals < MOST_RENEWALS && this.#probe.fits(token, endpoint, channel);
          if (fits && !(await scope.waitFor(() => within(clock, fits, waitMs, () => saysNothing(endpoint))))) {
            this.#authenticator?.forget(token);
            refused = true;
            break;
          }
          const proof = kind === "write" ? this.#idleProof.of(endpoint, channel) : undefined;
          if (proof) await scope.waitFor(() => within(clock, proof, waitMs, () => saysNothing(endpoint)));
          // A write that left cannot go anywhere else, so it gets all the time there is.
          if (rpc.slow === "unbounded") limitMs = Number.POSITIVE_INFINITY;
          else limitMs = kind === "write" || rpc.slow ? leftMs() : Math.min(mostMs, leftMs());
          const answer = await send({ channel, kind, limitMs, token });
          this.worked("calls", endpoint);
          return answer;
        } catch (error) {
          scope.throwIfEnded();
          last = translateFailure(error, {
            write: kind !== "read",
            earlierUnknown: maybeExecuted,
            requestBytes: request.length,
          });
          patience?.attemptFailed(last);
          if (kind !== "read" && !last.neverExecuted) maybeExecuted = true;
          debug("%s on %s failed: %s", name, endpoint.url, last.error.message);
          if (last.endpointAtFault) {
            endpoint.failed();
            this.#outage?.failed(endpoint.url, last.error, this.endpoints.all);
            if (channel && !(last.error instanceof EtcdTimeoutError)) endpoint.memberFailed("calls", channel);
          }
          // It may be frozen, or the link dead: the next call gets a new connection. Where patience is asked for, pings
          // tell.
          const silent = last.error instanceof EtcdTimeoutError && limitMs >= SILENCE_MS && !patience && !rpc.slow;
          if (silent && channel) endpoint.drop("calls", channel);
          if (token && isRefused(token, last) && (renewals < MOST_RENEWALS || isOfOldRevision(last))) {
            // Etcd did nothing this time, and may do it for another token. What must not be executed twice had no
            // attempt before.
            this.#authenticator?.forget(token);
            refused = true;
            break;
          }
          if (!(last.error instanceof TlsError)) insecure = false;
          if (!last.worthRetrying || begun() || (kind === "write" && !last.neverExecuted)) throw last.error;
        }
      }
      // Also a fresh token may be of a member that lags: from the second on it is given time.
      if (refused && ++renewals === 1) continue;
      // No endpoint can be trusted, or none trusts us: to wait for that to change is up to the caller.
      if (!refused && insecure && last) throw last.error;
      const restMs = leftMs();
      const pauseMs = backoff.nextMs({ leftMs: restMs });
      await scope.pause(clock, Math.min(pauseMs, restMs));
      if (pauseMs >= restMs) throw outOfTime(name, timeoutMs, last, maybeExecuted);
    }
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

/** How long an attempt may take that can be repeated elsewhere. */
function attemptLimitMs(timeoutMs: number): number {
  return Math.min(ATTEMPT_LIMIT_MS, timeoutMs / 3);
}

/** Whether another token may do better. Without any, etcd may take the client's certificate for its user, who may do less. */
function isRefused(token: Token, { error }: Failure): boolean {
  return error instanceof UnauthenticatedError || (error instanceof PermissionDeniedError && token.value === undefined);
}

function noToken(last: Failure | undefined): Error {
  const why = last ? `; last: ${last.error.message}` : "";
  return new UnavailableError(`no token yet${why}`, { cause: last?.error, retryable: true });
}

function saysNothing({ url }: Endpoint): Error {
  return new UnavailableError(`${url}: it does not answer`, { retryable: true });
}
