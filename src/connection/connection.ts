import {
  Client,
  type ClientDuplexStream,
  credentials,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { AuthClient, type ICallable, type IStatusResponse } from "etcd3/lib/rpc.js";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { within } from "../internal/abort.ts";
import { Backoff } from "../internal/backoff.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import { Authenticator, type Token } from "./authenticator.ts";
import { CallScope } from "./call-scope.ts";
import type { EndpointChannel } from "./channel.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { Endpoint } from "./endpoint.ts";
import { EndpointSet } from "./endpoint-set.ts";
import { type Failure, translateFailure } from "./error-translation.ts";
import { type ServiceName, serviceDefinition } from "./service-definitions.ts";
import { TlsCredentials } from "./tls-credentials.ts";
import { TlsError } from "./tls-error.ts";
import { TokenProbe } from "./token-probe.ts";

const debug = log("connection");

/** No attempt that can be repeated elsewhere waits longer for one endpoint. */
const ATTEMPT_LIMIT_MS = 2_000;
/** A fresh token is refused when users or roles were changed since it was made: not for ever, but more than once. */
const MOST_RENEWALS = 3;
/**
 * The request for a token gets this many times the time of an attempt at most, after it ran out of it again and again. A
 * password costs etcd some 100 ms of CPU, also when nobody waits any more: asked anew too early, again and again, a crowd
 * of clients never gets a token (HARDSHIPS 13).
 */
const MOST_PATIENCE = 16;
/** What is unanswered for less says nothing about the connection, only about the caller's patience. */
const SILENCE_MS = 500;

/**
 * What a failed attempt allows: a `read` and an `idempotent` write go on to the next endpoint; a `write` only if it
 * provably was not executed.
 */
export type CallKind = "read" | "write" | "idempotent";

/** How our calls travel through etcd3's stubs, which hand their options on as they are. */
export interface RpcOptions extends GrpcCallOptions {
  readonly kind: CallKind;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Only this endpoint, for questions about one member. */
  readonly only?: Endpoint | undefined;
  /** Without a token: the call that asks for one, and what etcd answers to everybody. */
  readonly anonymous?: boolean | undefined;
}

const AUTHENTICATE = "Auth.authenticate";

/** A call as it goes over the wire: how it is named, and how its answer is read. */
export interface WireCall<Response> {
  readonly path: string;
  readonly name: string;
  decode(bytes: Buffer): Response;
}

/** A stream, and whom to tell that its token was not taken: the next one gets another. */
export interface OpenedStream {
  readonly duplex: ClientDuplexStream<Buffer, Buffer>;
  refused(): void;
}

/** Messages pass gRPC as bytes: what cannot be encoded or decoded is told as what it is, and not as a broken connection. */
const asBytes = (bytes: Buffer) => bytes;

/**
 * Carries calls, etcd3's typed stubs among them, over channels of our own. A call moves from endpoint to endpoint within
 * its time; a stream is opened on one endpoint and belongs to whoever opened it.
 */
export class Connection implements ICallable<Endpoint> {
  readonly callOptionsFactory = undefined;
  readonly endpoints: EndpointSet;
  readonly #runtime: Runtime;
  readonly #requestTimeoutMs: number;
  readonly #open = new Set<CallScope>();
  readonly #clients = new WeakMap<EndpointChannel, Client>();
  readonly #authenticator: Authenticator | undefined;
  readonly #probe = new TokenProbe((endpoint, channel) => this.#askRaftIndex(endpoint, channel));
  /** What the request for a token last failed with: it says why a call that waits for one runs out of time. */
  #tokenFailure: Failure | undefined;
  /** Doubles with each request for a token that is not answered in time. */
  #tokenPatience = 1;
  #closed = false;

  constructor({ endpoints, dialTimeoutMs, requestTimeoutMs, tls, auth, runtime }: ConnectionOptions) {
    this.#runtime = runtime;
    this.#requestTimeoutMs = requestTimeoutMs;
    const secure = endpoints.some((endpoint) => endpoint.secure) ? new TlsCredentials(tls ?? {}) : undefined;
    this.endpoints = new EndpointSet(
      endpoints.map((url) => new Endpoint({ url, tls: url.secure ? secure : undefined, dialTimeoutMs, runtime })),
      runtime,
    );
    if (auth) this.#authenticator = this.#authenticatorFor(auth.username, auth.password);
  }

  /** For etcd3's stubs. */
  async exec<T>(service: ServiceName, method: string, payload: object, options?: GrpcCallOptions): Promise<T> {
    const { call, encode } = stubCall<T>(service, method);
    return this.call(call, encode(payload), options as RpcOptions);
  }

  async call<Response>(call: WireCall<Response>, request: Buffer, rpc: RpcOptions): Promise<Response> {
    const scope = new CallScope(rpc.signal, this.#open);
    try {
      if (this.#closed) throw new ClientClosedError("the client is closed");
      return await this.#tryEndpoints(scope, call, request, rpc);
    } finally {
      scope.release();
    }
  }

  /** For etcd3's stubs, of which we use none that opens a stream. */
  withConnection(): Promise<never> {
    return Promise.reject(new TypeError("streams are opened by openStream()"));
  }

  /** @throws UnavailableError when there is no connection within `limitMs`; UnauthenticatedError for a bad password */
  async openStream(path: string, endpoint: Endpoint, limitMs: number): Promise<OpenedStream> {
    if (this.#closed) throw new ClientClosedError("the client is closed");
    const token = await this.#tokenWithin(limitMs, () => new UnavailableError("no token yet", { retryable: true }));
    const channel = await endpoint.connect("streams", limitMs).catch((error: unknown) => {
      endpoint.failed();
      throw error;
    });
    if (this.#closed) throw new ClientClosedError("the client is closed");
    const duplex = this.#client(channel).makeBidiStreamRequest(path, asBytes, asBytes, metadataOf(path, token));
    if (token) void this.#endUnlessFit(duplex, token, endpoint, channel);
    return { duplex, refused: () => token && this.#authenticator?.forget(token) };
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

  async #tryEndpoints<Response>(
    scope: CallScope,
    call: WireCall<Response>,
    request: Buffer,
    rpc: RpcOptions,
  ): Promise<Response> {
    const { clock } = this.#runtime;
    const { name } = call;
    const deadline = clock.monotonicMs() + rpc.timeoutMs;
    const asksForToken = name === AUTHENTICATE;
    const backoff = new Backoff(this.#runtime, { initialMs: 20, maxMs: 500 });
    let last: Failure | undefined;
    let maybeExecuted = false;
    let renewals = 0;
    for (;;) {
      const token = rpc.anonymous ? undefined : await this.#tokenForCall(scope, deadline, rpc, name);
      let refused = false;
      let insecure = true;
      for (const endpoint of rpc.only ? [rpc.only] : this.endpoints.inOrder("calls")) {
        const remainingMs = deadline - clock.monotonicMs();
        if (remainingMs <= 0) throw outOfTime(name, rpc, last, maybeExecuted);
        const attemptLimitMs = asksForToken ? this.#tokenLimitMs() : Math.min(ATTEMPT_LIMIT_MS, rpc.timeoutMs / 3);
        try {
          const waitMs = Math.min(attemptLimitMs, remainingMs);
          const channel = await scope.waitFor(() => endpoint.connect("calls", waitMs));
          const fits = token && renewals < MOST_RENEWALS && this.#probe.fits(token, endpoint, channel);
          if (fits && !(await scope.waitFor(() => within(clock, fits, waitMs, () => saysNothing(endpoint))))) {
            this.#authenticator?.forget(token);
            refused = true;
            break;
          }
          // A write that left cannot go anywhere else, so it gets all the time there is.
          const limitMs =
            rpc.kind === "write"
              ? deadline - clock.monotonicMs()
              : Math.min(attemptLimitMs, deadline - clock.monotonicMs());
          const answer = await this.#attempt(scope, endpoint, channel, call, request, rpc.kind, limitMs, token);
          this.endpoints.worked("calls", endpoint);
          return answer;
        } catch (error) {
          scope.throwIfEnded();
          last = translateFailure(error, rpc.kind !== "read", maybeExecuted);
          if (asksForToken) this.#tokenNotGiven(last);
          if (rpc.kind !== "read" && !last.neverExecuted) maybeExecuted = true;
          debug("%s on %s failed: %s", name, endpoint.url, last.error.message);
          if (last.endpointAtFault) endpoint.failed();
          if (token && renewals < MOST_RENEWALS && isRefused(token, last)) {
            // Etcd did nothing this time, and may do it for another token. What must not be executed twice had no attempt before.
            this.#authenticator?.forget(token);
            refused = true;
            break;
          }
          if (!(last.error instanceof TlsError)) insecure = false;
          if (!last.worthRetrying || (rpc.kind === "write" && !last.neverExecuted)) throw last.error;
        }
      }
      if (refused) {
        renewals++;
        continue;
      }
      // No endpoint can be trusted, or none trusts us: to wait for that to change is up to the caller.
      if (insecure && last) throw last.error;
      const pauseMs = backoff.nextMs();
      const leftMs = deadline - clock.monotonicMs();
      await scope.pause(clock, Math.min(pauseMs, leftMs));
      // A last attempt without time would only hide why the ones before it failed.
      if (pauseMs >= leftMs) throw outOfTime(name, rpc, last, maybeExecuted);
    }
  }

  #attempt<Response>(
    scope: CallScope,
    endpoint: Endpoint,
    channel: EndpointChannel,
    { path, name, decode }: WireCall<Response>,
    request: Buffer,
    kind: CallKind,
    limitMs: number,
    token: Token | undefined,
  ): Promise<Response> {
    return scope.wait<Response>((resolve, reject) => {
      const onAnswer = (error: ServiceError | null, answer?: Buffer) => {
        if (!error) {
          try {
            resolve(decode(answer as Buffer));
          } catch (cause) {
            const problem = cause instanceof Error ? cause.message : String(cause);
            const outcomeUnknown = kind !== "read";
            reject(new ProtocolError(`the answer could not be read: ${problem}`, { cause, outcomeUnknown }));
          }
          return;
        }
        const failure = translateFailure(error, kind !== "read");
        // An unanswered call may mean a frozen server or a dead link: the next call gets a new connection.
        // A password takes its time, and of a dead link its pings tell.
        const silent = failure.error instanceof EtcdTimeoutError && limitMs >= SILENCE_MS && name !== AUTHENTICATE;
        if (silent) endpoint.drop("calls", channel);
        reject(error);
      };
      const sent = this.#client(channel).makeUnaryRequest(
        path,
        asBytes,
        asBytes,
        request,
        metadataOf(path, token),
        { deadline: Date.now() + limitMs },
        onAnswer,
      );
      return () => sent.cancel();
    });
  }

  /** A stream need not wait for that: it is ended if it was opened in vain. */
  async #endUnlessFit(
    duplex: ClientDuplexStream<Buffer, Buffer>,
    token: Token,
    endpoint: Endpoint,
    channel: EndpointChannel,
  ): Promise<void> {
    // Of a member that does not answer the stream hears by itself.
    const fits = await this.#probe.fits(token, endpoint, channel)?.catch(() => true);
    if (fits !== false) return;
    this.#authenticator?.forget(token);
    duplex.emit("error", new UnavailableError(`${endpoint.url}: its history is not the token's`, { retryable: true }));
  }

  /** How far a member is. Etcd says it to everybody; one that keeps it to itself is taken to be far enough. */
  async #askRaftIndex(endpoint: Endpoint, channel: EndpointChannel): Promise<number> {
    const scope = new CallScope(undefined, this.#open);
    const { call, encode } = stubCall<IStatusResponse>("Maintenance", "status");
    try {
      const answer = this.#attempt(scope, endpoint, channel, call, encode({}), "read", ATTEMPT_LIMIT_MS, undefined);
      return Number((await answer).raftIndex);
    } catch (cause) {
      const { error } = translateFailure(cause, false);
      if (error instanceof UnavailableError || error instanceof EtcdTimeoutError) throw error;
      return Number.POSITIVE_INFINITY;
    } finally {
      scope.release();
    }
  }

  /** The token at hand. A call that has to wait for one waits within its own time, and ends with its own signal. */
  async #tokenForCall(scope: CallScope, deadline: number, rpc: RpcOptions, name: string): Promise<Token | undefined> {
    const { clock } = this.#runtime;
    const backoff = new Backoff(this.#runtime, { initialMs: 20, maxMs: 500 });
    const late = () => outOfTime(name, rpc, this.#tokenFailure, false);
    while (this.#authenticator && !this.#authenticator.token) {
      try {
        await scope.waitFor(() => this.#tokenWithin(deadline - clock.monotonicMs(), late));
      } catch (error) {
        scope.throwIfEnded();
        const pauseMs = backoff.nextMs();
        const again = error instanceof EtcdError && error.retryable && !(error instanceof TlsError);
        if (!again || clock.monotonicMs() + pauseMs >= deadline) throw error;
        await scope.pause(clock, pauseMs);
      }
    }
    return this.#authenticator?.token;
  }

  async #tokenWithin(limitMs: number, outOfTime: () => Error): Promise<Token | undefined> {
    const authenticator = this.#authenticator;
    if (!authenticator) return undefined;
    return authenticator.token ?? within(this.#runtime.clock, authenticator.current(), limitMs, outOfTime);
  }

  #authenticatorFor(username: string, password: string): Authenticator {
    const auth = new AuthClient(this);
    return new Authenticator(async () => {
      // A moment less than a call has: this error says why, the call's own time-out cannot.
      const limitMs = Math.max(this.#requestTimeoutMs * 0.9, this.#tokenLimitMs());
      const rpc: RpcOptions = { kind: "read", timeoutMs: limitMs, signal: undefined, anonymous: true };
      try {
        const { token } = await auth.authenticate({ name: username, password }, rpc);
        this.#tokenFailure = undefined;
        this.#tokenPatience = 1;
        return { value: token, madeMs: this.#runtime.clock.monotonicMs() };
      } catch (error) {
        // Authentication is not enabled, which it may be later on.
        if (error instanceof RequestRefusedError) return { value: undefined, madeMs: Number.POSITIVE_INFINITY };
        throw error;
      }
    });
  }

  /** How long one attempt to get a token may take. */
  #tokenLimitMs(): number {
    return Math.min(ATTEMPT_LIMIT_MS, this.#requestTimeoutMs / 3) * this.#tokenPatience;
  }

  #tokenNotGiven(failure: Failure): void {
    this.#tokenFailure = failure;
    // It was sent, and etcd may be at it still.
    if (!failure.neverExecuted) this.#tokenPatience = Math.min(MOST_PATIENCE, this.#tokenPatience * 2);
  }

  #client(channel: EndpointChannel): Client {
    let client = this.#clients.get(channel);
    if (!client) {
      client = new Client("", credentials.createInsecure(), { channelOverride: channel.grpc });
      this.#clients.set(channel, client);
    }
    return client;
  }
}

/** A call by etcd's own `.proto` files. */
function stubCall<Response>(service: ServiceName, method: string) {
  const definition = serviceDefinition(service)[method];
  if (!definition) throw new TypeError(`etcd has no ${service}.${method}`);
  const { path, requestSerialize, responseDeserialize } = definition;
  const decode = (bytes: Buffer) => responseDeserialize(bytes) as Response;
  const call: WireCall<Response> = { path, name: `${service}.${method}`, decode };
  return { call, encode: (payload: object) => requestSerialize(payload) };
}

/** With `hasleader` a leaderless member answers at once instead of after 7 s; only questions about the member itself go without. */
function metadataOf(path: string, token: Token | undefined): Metadata {
  const metadata = new Metadata();
  if (!path.startsWith("/etcdserverpb.Maintenance/")) metadata.set("hasleader", "true");
  if (token?.value !== undefined) metadata.set("token", token.value);
  return metadata;
}

/** Whether another token may do better. Without any, etcd may take the client's certificate for its user, who may do less. */
function isRefused(token: Token, { error }: Failure): boolean {
  return error instanceof UnauthenticatedError || (error instanceof PermissionDeniedError && token.value === undefined);
}

function saysNothing({ url }: Endpoint): Error {
  return new UnavailableError(`${url}: it does not say how far it is`, { retryable: true });
}

function outOfTime(name: string, rpc: RpcOptions, last: Failure | undefined, outcomeUnknown: boolean): Error {
  const cause = last?.error;
  if (cause === undefined || cause instanceof EtcdTimeoutError) {
    return new EtcdTimeoutError(`${name}: no answer within ${rpc.timeoutMs} ms`, {
      cause,
      retryable: true,
      outcomeUnknown,
    });
  }
  return new UnavailableError(
    `${name}: no endpoint could serve it within ${rpc.timeoutMs} ms; last: ${cause.message}`,
    {
      cause,
      retryable: true,
      outcomeUnknown,
    },
  );
}
