import { AuthClient, type ICallable } from "etcd3/lib/rpc.js";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { type GrpcStream, grpcStatus } from "../grpc/index.ts";
import { asError } from "../internal/as-error.ts";
import type { CallMessage } from "../internal/channel-messages.ts";
import { channels } from "../internal/channels.ts";
import type { Clock } from "../internal/clock.ts";
import type { Runtime } from "../internal/runtime.ts";
import { type Attempt, attempt } from "./attempt.ts";
import { attemptStream, type PartSink } from "./attempt-stream.ts";
import { ATTEMPT_LIMIT_MS, attemptLimitMs } from "./attempt-time.ts";
import { Authenticator, type Token } from "./auth/authenticator.ts";
import { callMetadata } from "./auth/call-metadata.ts";
import { CallAttempts, type CallRoutes } from "./call-attempts.ts";
import { CallScope } from "./call-scope.ts";
import type { ServiceName } from "./codec/stub-messages.ts";
import { stubCall, type WireCall } from "./codec/wire-call.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import type { EndpointChannel } from "./endpoints/endpoint-channel.ts";
import type { EndpointUrl } from "./endpoints/endpoint-url.ts";
import { EndpointsInUse } from "./endpoints/endpoints-in-use.ts";
import { systemResolver } from "./endpoints/srv-lookup.ts";
import { type Failure, translateFailure } from "./errors/error-translation.ts";
import { MemberQuestions } from "./member-questions.ts";
import { ReplyStream } from "./reply-stream.ts";
import type { RpcOptions, StubOptions } from "./rpc-options.ts";
import type { StreamHandlers } from "./stream-handlers.ts";

/**
 * Carries calls, etcd3's typed stubs among them, over channels of our own. A call moves from endpoint to endpoint
 * within its time; a stream is opened on one endpoint and belongs to its opener.
 */
export class Connection implements ICallable<Endpoint> {
  readonly callOptionsFactory = undefined;
  readonly endpoints: EndpointsInUse;
  readonly #runtime: Runtime;
  readonly #open = new Set<CallScope>();
  readonly #authenticator: Authenticator | undefined;
  readonly #questions: MemberQuestions;
  readonly #routes: CallRoutes;
  #closed = false;

  constructor(options: ConnectionOptions) {
    const { endpoints, requestTimeoutMs, auth, runtime } = options;
    const { warnUnreachable = true, resolver = systemResolver } = options;
    this.#runtime = runtime;
    this.endpoints = new EndpointsInUse({ ...options, warnUnreachable, resolver });
    this.#questions = new MemberQuestions(this.#open, ATTEMPT_LIMIT_MS);
    if (auth) {
      const stubs = new AuthClient(this);
      const one = !("domain" in endpoints) && endpoints.length === 1;
      this.#authenticator = new Authenticator({
        runtime,
        requestTimeoutMs,
        // Where there is no other endpoint to ask, asking again would only be more work for the same etcd.
        // With one endpoint all the time but a moment, so that its failure is there when those who wait for it end.
        attemptLimitMs: attemptLimitMs(requestTimeoutMs) * (one ? 2.9 : 1),
        ask: async (rpc) => (await stubs.authenticate({ name: auth.username, password: auth.password }, rpc)).token,
      });
    }
    this.#routes = {
      endpoints: this.endpoints,
      runtime,
      authenticator: this.#authenticator,
      questions: this.#questions,
    };
  }

  get clock(): Clock {
    return this.#runtime.clock;
  }

  /** @throws InvalidOptionError for endpoints of the other scheme; ClientClosedError */
  setEndpoints(urls: readonly EndpointUrl[], origin: "given" | "members"): void {
    if (this.#closed) throw new ClientClosedError("the client is closed");
    this.endpoints.replace(urls, origin);
  }

  /** For etcd3's stubs. */
  async exec<T>(service: ServiceName, method: string, payload: object, options?: StubOptions): Promise<T> {
    const { call, encode } = stubCall<T>(service, method);
    const rpc = options as RpcOptions;
    return this.call(rpc.ofMember ? { ...call, ofMember: true } : call, encode(payload), rpc);
  }

  call<Response>(call: WireCall<Response>, request: Buffer, rpc: RpcOptions): Promise<Response> {
    if (this.#closed) return Promise.reject(new ClientClosedError("the client is closed"));
    if (channels.calls.heard && !rpc.described) {
      return described(call, (message) => this.call(call, request, { ...rpc, described: message }));
    }
    const scope = new CallScope(rpc.signal, this.#open);
    const send = (at: Attempt) => attempt(scope, call, request, at);
    return new CallAttempts(this.#routes, scope, { name: call.name, rpc, requestBytes: request.length, send }).run();
  }

  /**
   * A read whose answer comes in parts; resolves when the last of them is taken. It moves from endpoint to endpoint
   * until the first part has come: after that, a failure ends it.
   */
  stream<Part>(call: WireCall<Part>, request: Buffer, rpc: RpcOptions, sink: PartSink<Part>): Promise<void> {
    if (this.#closed) return Promise.reject(new ClientClosedError("the client is closed"));
    if (channels.calls.heard && !rpc.described) {
      return described(call, (message) => this.stream(call, request, { ...rpc, described: message }, sink));
    }
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
   * Opens a stream, which belongs to its opener. Messages are views, whose bytes are overwritten when `onMessage` has
   * returned. A token that is not accepted is forgotten: the next one gets another.
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
      this.endpoints.failed(endpoint, asError(error));
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
      { metadata: callMetadata(token), messages: "view" },
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
   * Sends a request that is answered in many messages, to the member that calls go to, and once: who reads them has
   * other ways to go on. Resolves when the first of them is here.
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
      const stream = channel.grpc.stream(path, { metadata: callMetadata(token) }, reply);
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

  /**
   * The stubs call this for every stream that ends, also for one that we ended ourselves: the owner of the stream
   * judges.
   */
  markFailed(): void {}

  /** Ends every call under way with ClientClosedError and closes all connections. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const reason = new ClientClosedError("the client was closed during the call");
    for (const scope of [...this.#open]) scope.end(reason);
    this.endpoints.close();
  }

  /** Of a member that does not answer the stream hears by itself. */
  async #isOfAnotherHistory(token: Token, endpoint: Endpoint, channel: EndpointChannel): Promise<boolean> {
    const fits = await this.#questions.fits(token, endpoint, channel)?.catch(() => true);
    if (fits !== false) return false;
    this.#authenticator?.forget(token);
    return true;
  }
}

/** Makes a call that its channel describes, from the turn of its caller on. */
function described<T>({ path }: WireCall<unknown>, make: (message: CallMessage) => Promise<T>): Promise<T> {
  const [, service = "", method = ""] = path.split("/");
  const trace = channels.calls.begin({ service, method, attempt: 0, batchSize: 1 });
  return trace.follow(make(trace.message));
}

function noToken(last: Failure | undefined): Error {
  const why = last ? `; last: ${last.error.message}` : "";
  return new UnavailableError(`no token yet${why}`, { cause: last?.error, retryable: true });
}
