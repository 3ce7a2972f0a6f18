import { InvalidOptionError } from "../../recipes/index.ts";

// What is used of grpc-js, in types of our own: its resolver API is experimental, and its declarations are not asked
// for where it is not installed. `test/doors/grpc-js.test.ts` holds them against the real package.

/** The module `@grpc/grpc-js`, as `import * as grpc from "@grpc/grpc-js"` gives it: 1.10 to 1.14. */
export interface GrpcJs {
  readonly experimental: {
    registerResolver(scheme: string, resolverClass: never): void;
  };
}

/** A target, taken apart: of `etcd:///svc/orders` the path is `svc/orders`. */
export interface GrpcTarget {
  readonly path: string;
}

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** A server, by the addresses of which one is used. */
export interface GrpcEndpoint {
  readonly addresses: readonly (TcpAddress | { readonly path: string })[];
  /** For load balancing policies of the user's own; those of grpc-js do not look at it. */
  readonly attributes: EndpointAttributes;
}

/** What the registration of a server says of it. */
export interface EndpointAttributes {
  readonly key: string;
  readonly weight: number;
  readonly zone?: string;
  readonly metadata: unknown;
}

export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: unknown;
}

type StatusOr<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: GrpcStatus };
type Attributes = Readonly<Record<string, unknown>>;

/** What a channel wants to hear, up to 1.13. */
interface ListenerObject {
  onSuccessfulResolution(
    endpoints: readonly GrpcEndpoint[],
    serviceConfig: null,
    serviceConfigError: null,
    configSelector: null,
    attributes: Attributes,
  ): void;
  onError(error: GrpcStatus): void;
}

/** And from 1.14 on. */
type ListenerFunction = (
  endpoints: StatusOr<readonly GrpcEndpoint[]>,
  attributes: Attributes,
  serviceConfig: null,
  resolutionNote: string,
) => boolean;

export type GrpcListener = ListenerObject | ListenerFunction;

/** The status UNAVAILABLE. */
const UNAVAILABLE = 14;
/** The versions that this door is tested with. */
const TESTED = "@grpc/grpc-js 1.10 to 1.14";
/** From 1.13 on attributes are channel options too; those with this prefix make no connection another one. */
const ATTRIBUTES_KEY = "grpc.internal.no_subchannel.etcd_recipes";

/** What of the module is needed when a channel is made. */
interface GrpcModule {
  readonly experimental: { registerResolver(scheme: string, resolverClass: unknown): void };
  readonly Metadata: new () => unknown;
}

/**
 * The module, once it is known to have what a resolver needs.
 *
 * @throws InvalidOptionError that says what to install
 */
export function checkGrpcJs(what: string, grpc: unknown): GrpcModule {
  const { experimental, Metadata } = (grpc ?? {}) as Partial<Record<string, unknown>>;
  const parts = (experimental ?? {}) as Partial<Record<string, unknown>>;
  // `endpointToString` came with endpoints of several addresses, in 1.10: before, a resolver gave addresses.
  const fits = [parts.registerResolver, parts.endpointToString, Metadata].every((part) => typeof part === "function");
  if (fits) return grpc as GrpcModule;
  const problem = `must be the module ${TESTED} (npm install @grpc/grpc-js, import * as grpc from "@grpc/grpc-js")`;
  const found = experimental === undefined ? "this has no experimental.registerResolver" : "this is another version";
  throw new InvalidOptionError(what, "grpc", `${problem}; ${found}`);
}

/** @throws InvalidOptionError for the listener of a version that this door does not know */
export function checkListener(what: string, listener: unknown): GrpcListener {
  const isObject = typeof (listener as Partial<ListenerObject> | null)?.onSuccessfulResolution === "function";
  if (typeof listener === "function" || isObject) return listener as GrpcListener;
  throw new InvalidOptionError(
    what,
    "grpc",
    `has resolvers that this version does not know; it is tested with ${TESTED}`,
  );
}

/** Hands a list to a channel, in the form that its version takes. */
export function giveEndpoints(listener: GrpcListener, endpoints: readonly GrpcEndpoint[], note: string): void {
  const attributes = { [ATTRIBUTES_KEY]: endpoints };
  if (typeof listener === "function") {
    listener({ ok: true, value: endpoints }, attributes, null, note);
    return;
  }
  try {
    listener.onSuccessfulResolution(endpoints, null, null, null, attributes);
  } catch (error) {
    // Up to 1.12 pick_first throws when a list is empty. It goes on with what it had.
    if (endpoints.length > 0) throw error;
  }
}

/** Has the calls of a channel fail with UNAVAILABLE, but those that wait for ready. One that has servers goes on. */
export function giveFailure(listener: GrpcListener, details: string, metadata: unknown): void {
  const error = { code: UNAVAILABLE, details, metadata };
  if (typeof listener === "function") listener({ ok: false, error }, {}, null, "");
  else listener.onError(error);
}
