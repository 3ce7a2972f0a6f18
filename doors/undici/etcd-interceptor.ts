import { InvalidOptionError, type ServiceList } from "../../recipes/index.ts";
import { checkObject, shown } from "../shared/check-object.ts";
import { type Dispatch, type DispatchOptions, type Handler, type Headers, receiverOf } from "./handler.ts";
import { isOfServer, PickedRequest, type RequestOutcome } from "./picked-request.ts";

export type { RequestOutcome } from "./picked-request.ts";

const what = "etcd";

/** Options of `etcd()`. All may be left out. */
export interface EtcdOptions {
  /**
   * How many servers are tried at most, at least 1. More than one is tried only for what is safe to repeat: what was
   * never sent, and idempotent methods whose body can be sent again.
   *
   * @default 3
   */
  readonly attempts?: number | undefined;
  /**
   * How long a request waits for a server while there is none, in milliseconds, at least 0.
   *
   * @default 10000, or `headersTimeout` of the request if that is less
   */
  readonly waitMs?: number | undefined;
  /**
   * What counts as a failure of the server: it counts against it, and what is safe to repeat goes to another one. It
   * must not throw. It is asked for each answer, and for each error of the network, of TLS, of HTTP and of undici's
   * time-outs.
   *
   * @default a status of 500 or more, and each error
   */
  readonly isFailure?: ((outcome: RequestOutcome) => boolean) | undefined;
  /**
   * What the server sees as `Host`: the name of the service, as in the URL, or the address of the server. With https
   * its certificate must be for the same.
   *
   * @default "service"
   */
  readonly hostHeader?: "service" | "server" | undefined;
  /** Requests with the same key belong together, see `pick()`. @default none */
  readonly key?: ((request: { readonly path: string; readonly method: string }) => string | undefined) | undefined;
}

/** For `compose()` of a dispatcher of undici. */
export type EtcdInterceptor = <Next extends (options: never, handler: never) => unknown>(dispatch: Next) => Next;

/**
 * An interceptor for undici that sends requests for `http://<name>/…` to a server of the list of that name.
 *
 * ```ts
 * import { Agent, setGlobalDispatcher } from "undici";
 *
 * setGlobalDispatcher(new Agent().compose(etcd({ orders: new SubscribeService("/svc/orders/") })));
 * const response = await fetch("http://orders/list");
 * ```
 *
 * Requests for other hosts, and for a name with a port, pass as they are. A request waits for a first server; what
 * comes of it is reported to the list, so that servers that fail are left out.
 *
 * Guaranteed: what is not safe to repeat is sent once. What is goes to another server when one cannot be reached,
 * resets, or answers with a failure, as long as there are attempts left.
 *
 * Not guaranteed: that a request was not executed when it fails after it was sent.
 *
 * @param services lists by the names that URLs have in the place of a host
 * @throws InvalidOptionError that names the argument or option
 */
export function etcd(services: Readonly<Record<string, ServiceList>>, options: EtcdOptions = {}): EtcdInterceptor {
  const lists = checkServices(services);
  const settings = resolve(options);
  const intercept = (dispatch: Dispatch): Dispatch => {
    // Exactly two parameters: undici looks.
    return (request: DispatchOptions, handler: Handler) => {
      const { protocol, name, list } = serviceOf(lists, request.origin);
      if (!list) return dispatch(request, handler);
      const { attempts, isFailure, hostHeader, key } = settings;
      const waitMs = Math.min(settings.waitMs, request.headersTimeout || settings.waitMs);
      const limits = { attempts, isFailure, waitMs, key: key?.(request as DispatchOptions & { path: string }) };
      const headers = hostHeader === "service" ? withHost(request.headers, name) : request.headers;
      const optionsFor = ({ address }: { address: string }, body: unknown) => {
        return { ...request, origin: `${protocol}//${address.replace(/^[a-z]+:\/\//, "")}`, headers, body };
      };
      new PickedRequest(list, limits, receiverOf(handler), request, optionsFor, dispatch).run();
      return true;
    };
  };
  return intercept as unknown as EtcdInterceptor;
}

function serviceOf(lists: ReadonlyMap<string, ServiceList>, origin: string | URL | undefined) {
  const [, protocol = "", name = ""] = /^(https?:)\/\/([^/:]+)\/?$/.exec(String(origin)) ?? [];
  return { protocol, name, list: lists.get(name) };
}

function withHost(headers: Headers | null | undefined, host: string): Headers {
  if (headers === null || headers === undefined) return { host };
  if (Symbol.iterator in headers) {
    const all = [...(headers as Iterable<unknown>)];
    // Either pairs, or names and values in turn.
    const flat = Array.isArray(all[0]) ? all.flatMap((pair) => (pair as unknown[]).slice(0, 2)) : all;
    const isSet = flat.some((item, index) => index % 2 === 0 && String(item).toLowerCase() === "host");
    return isSet ? flat : [...flat, "host", host];
  }
  return Object.keys(headers).some((header) => header.toLowerCase() === "host") ? headers : { ...headers, host };
}

function checkServices(services: Readonly<Record<string, ServiceList>>): ReadonlyMap<string, ServiceList> {
  const areNamed = typeof services === "object" && services !== null && !Array.isArray(services);
  if (!areNamed || Object.keys(services).length === 0) {
    throw new InvalidOptionError(
      what,
      "services",
      `must be lists by name, { orders: services }, not ${shown(services)}`,
    );
  }
  for (const [name, list] of Object.entries(services)) {
    if (!/^[a-z\d](?:[a-z\d.-]*[a-z\d])?$/.test(name)) {
      throw new InvalidOptionError(what, "services", `must be named as hosts are, in lower case, not ${shown(name)}`);
    }
    // By what it can do: a process may have two copies of this package.
    if (typeof list?.call !== "function" || typeof list.report !== "function") {
      throw new InvalidOptionError(
        what,
        `services.${name}`,
        `must be a SubscribeService or a view, not ${shown(list)}`,
      );
    }
  }
  return new Map(Object.entries(services));
}

interface Resolved {
  readonly attempts: number;
  readonly waitMs: number;
  readonly isFailure: (outcome: RequestOutcome) => boolean;
  readonly hostHeader: "service" | "server";
  readonly key: EtcdOptions["key"];
}

type Check = readonly [allowed: string, holds: (value: never) => boolean];

const checks: Readonly<Record<keyof EtcdOptions, Check>> = {
  attempts: ["a whole number, at least 1", (it: number) => Number.isInteger(it) && it >= 1],
  waitMs: [
    "a number of milliseconds, at least 0 and below 2^31",
    (it: unknown) => typeof it === "number" && it >= 0 && it < 2 ** 31,
  ],
  isFailure: ["a function", (it: unknown) => typeof it === "function"],
  hostHeader: ['"service" or "server"', (it: string) => it === "service" || it === "server"],
  key: ["a function", (it: unknown) => typeof it === "function"],
};

function resolve(options: EtcdOptions): Resolved {
  const given: unknown = options;
  checkObject(what, "options", given);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      throw new InvalidOptionError(what, name, `is no option: they are ${Object.keys(checks).join(", ")}`);
    }
    const [allowed, holds] = checks[name as keyof EtcdOptions];
    if (value !== undefined && !holds(value as never)) {
      throw new InvalidOptionError(what, name, `must be ${allowed}, not ${shown(value)}`);
    }
  }
  const { attempts = 3, waitMs = 10_000, isFailure = isFailedOutcome, hostHeader = "service", key } = options;
  return { attempts, waitMs, isFailure, hostHeader, key };
}

function isFailedOutcome({ status = 0, error }: RequestOutcome): boolean {
  return status >= 500 || (error !== undefined && isOfServer(error));
}
