import {
  type Client,
  credentials,
  type CallOptions as GrpcCallOptions,
  Metadata,
  makeClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import type { ICallable } from "etcd3/lib/rpc.js";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { Backoff } from "../internal/backoff.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import { CallScope } from "./call-scope.ts";
import type { EndpointChannel } from "./channel.ts";
import { type ServiceName, serviceDefinition } from "./codec.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { Endpoint } from "./endpoint.ts";
import { EndpointSet } from "./endpoint-set.ts";
import { type Failure, translateFailure } from "./error-translation.ts";

const debug = log("connection");

/** No attempt that can be repeated elsewhere waits longer for one endpoint. */
const ATTEMPT_LIMIT_MS = 2_000;
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
}

/**
 * Carries etcd3's typed stubs over channels of our own. A call moves from endpoint to endpoint within its time; a stream
 * is opened on one endpoint and belongs to whoever opened it.
 */
export class Connection implements ICallable<Endpoint> {
  readonly callOptionsFactory = undefined;
  readonly endpoints: EndpointSet;
  readonly #dialTimeoutMs: number;
  readonly #runtime: Runtime;
  readonly #open = new Set<CallScope>();
  readonly #clients = new WeakMap<EndpointChannel, Map<ServiceName, Client>>();
  #closed = false;

  constructor({ endpoints, dialTimeoutMs, runtime }: ConnectionOptions) {
    this.#dialTimeoutMs = dialTimeoutMs;
    this.#runtime = runtime;
    const plain = credentials.createInsecure();
    const secure = endpoints.some((endpoint) => endpoint.secure) ? credentials.createSsl() : plain;
    this.endpoints = new EndpointSet(
      endpoints.map((url) => new Endpoint(url, url.secure ? secure : plain, dialTimeoutMs, runtime)),
      runtime,
    );
  }

  async exec<T>(service: ServiceName, method: string, payload: unknown, options?: GrpcCallOptions): Promise<T> {
    const rpc = options as RpcOptions;
    const scope = new CallScope(rpc.signal, this.#open);
    try {
      if (this.#closed) throw new ClientClosedError("the client is closed");
      return await this.#tryEndpoints<T>(scope, service, method, payload, rpc);
    } finally {
      scope.release();
    }
  }

  async withConnection<R>(
    service: ServiceName,
    open: (args: { resource: Endpoint; client: Client; metadata: Metadata }) => Promise<R> | R,
  ): Promise<R> {
    let last: unknown;
    for (const endpoint of this.endpoints.inOrder("streams")) {
      try {
        return await this.#openOn(endpoint, service, this.#dialTimeoutMs, open);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  /** The same as this connection, but every stream goes to `endpoint`, connected to within `limitMs`. */
  on(endpoint: Endpoint, limitMs = this.#dialTimeoutMs): ICallable<Endpoint> {
    return {
      callOptionsFactory: undefined,
      exec: (service, method, payload, options) => this.exec(service, method, payload, options),
      withConnection: (service, open) => this.#openOn(endpoint, service, limitMs, open),
      markFailed: () => this.markFailed(),
    };
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

  async #openOn<R>(
    endpoint: Endpoint,
    service: ServiceName,
    limitMs: number,
    open: (args: { resource: Endpoint; client: Client; metadata: Metadata }) => Promise<R> | R,
  ): Promise<R> {
    if (this.#closed) throw new ClientClosedError("the client is closed");
    const channel = await endpoint.connect("streams", limitMs).catch((error: unknown) => {
      endpoint.failed();
      throw error;
    });
    if (this.#closed) throw new ClientClosedError("the client is closed");
    return open({ resource: endpoint, client: this.#client(channel, service), metadata: this.#metadata(service) });
  }

  async #tryEndpoints<T>(
    scope: CallScope,
    service: ServiceName,
    method: string,
    payload: unknown,
    rpc: RpcOptions,
  ): Promise<T> {
    const { clock } = this.#runtime;
    const name = `${service}.${method}`;
    const deadline = clock.monotonicMs() + rpc.timeoutMs;
    const attemptLimitMs = Math.min(ATTEMPT_LIMIT_MS, rpc.timeoutMs / 3);
    const backoff = new Backoff(this.#runtime, { initialMs: 20, maxMs: 500 });
    let last: Failure | undefined;
    let maybeExecuted = false;
    for (;;) {
      for (const endpoint of rpc.only ? [rpc.only] : this.endpoints.inOrder("calls")) {
        const remainingMs = deadline - clock.monotonicMs();
        if (remainingMs <= 0) throw outOfTime(name, rpc, last, maybeExecuted);
        try {
          const waitMs = Math.min(attemptLimitMs, remainingMs);
          const channel = await scope.waitFor(() => endpoint.connect("calls", waitMs));
          // A write that left cannot go anywhere else, so it gets all the time there is.
          const limitMs =
            rpc.kind === "write"
              ? deadline - clock.monotonicMs()
              : Math.min(attemptLimitMs, deadline - clock.monotonicMs());
          const answer = await this.#attempt<T>(scope, endpoint, channel, service, method, payload, rpc.kind, limitMs);
          this.endpoints.worked("calls", endpoint);
          return answer;
        } catch (error) {
          scope.throwIfEnded();
          last = translateFailure(error, rpc.kind !== "read", maybeExecuted);
          if (rpc.kind !== "read" && !last.neverExecuted) maybeExecuted = true;
          debug("%s on %s failed: %s", name, endpoint.url, last.error.message);
          if (last.endpointAtFault) endpoint.failed();
          if (!last.worthRetrying || (rpc.kind === "write" && !last.neverExecuted)) throw last.error;
        }
      }
      const pauseMs = backoff.nextMs();
      const leftMs = deadline - clock.monotonicMs();
      await scope.pause(clock, Math.min(pauseMs, leftMs));
      // A last attempt without time would only hide why the ones before it failed.
      if (pauseMs >= leftMs) throw outOfTime(name, rpc, last, maybeExecuted);
    }
  }

  #attempt<T>(
    scope: CallScope,
    endpoint: Endpoint,
    channel: EndpointChannel,
    service: ServiceName,
    method: string,
    payload: unknown,
    kind: CallKind,
    limitMs: number,
  ): Promise<T> {
    return scope.wait<T>((resolve, reject) => {
      const definition = serviceDefinition(service)[method];
      if (!definition) throw new TypeError(`etcd has no ${service}.${method}`);
      const onAnswer = (error: ServiceError | null, answer?: unknown) => {
        if (!error) return resolve(answer as T);
        const failure = translateFailure(error, kind !== "read");
        // An unanswered call may mean a frozen server or a dead link: the next call gets a new connection.
        if (failure.error instanceof EtcdTimeoutError && limitMs >= SILENCE_MS) endpoint.drop("calls", channel);
        reject(error);
      };
      const call = this.#client(channel, service).makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        payload,
        this.#metadata(service),
        { deadline: Date.now() + limitMs },
        onAnswer,
      );
      return () => call.cancel();
    });
  }

  /** A leaderless member then answers at once instead of after 7 s; only questions about the member itself go without. */
  #metadata(service: ServiceName): Metadata {
    const metadata = new Metadata();
    if (service !== "Maintenance") metadata.set("hasleader", "true");
    return metadata;
  }

  #client(channel: EndpointChannel, service: ServiceName): Client {
    let clients = this.#clients.get(channel);
    if (!clients) {
      clients = new Map();
      this.#clients.set(channel, clients);
    }
    let client = clients.get(service);
    if (!client) {
      const Constructor = makeClientConstructor(serviceDefinition(service), service);
      client = new Constructor("", credentials.createInsecure(), { channelOverride: channel.grpc });
      clients.set(service, client);
    }
    return client;
  }
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
