import { EtcdClient, type EtcdClientOptions, InvalidOptionError } from "../../recipes/index.ts";
import { checkObject, shown } from "../shared/check-object.ts";
import { ChannelListener } from "./channel-listener.ts";
import { checkGrpcJs, checkListener, type GrpcJs, type GrpcTarget } from "./grpc-api.ts";
import { RefusedAddresses } from "./refused-addresses.ts";
import { SharedList } from "./shared-list.ts";

const what = "registerEtcdResolver";

/** Options of `registerEtcdResolver()`. All may be left out. */
export interface EtcdResolverOptions {
  /**
   * A client, which is never closed; or options for a client of its own, which `close()` closes.
   *
   * @default defaultClient()
   */
  readonly client?: EtcdClient | EtcdClientOptions | undefined;
  /** What targets begin with, before the colon. None of gRPC's own: dns, unix, ipv4, ipv6, xds. @default "etcd" */
  readonly scheme?: string | undefined;
}

/** A scheme that grpc-js knows now. */
export interface EtcdResolver extends AsyncDisposable {
  readonly scheme: string;
  /** The prefixes that channels follow at the moment. */
  readonly prefixes: readonly string[];
  /**
   * Stops following, and closes a client of its own. Channels keep the list that they have, also when they become idle;
   * one that has none fails with UNAVAILABLE. Calling it again is harmless.
   */
  close(): Promise<void>;
}

/**
 * Has grpc-js know targets by what is registered in etcd.
 *
 * ```ts
 * import * as grpc from "@grpc/grpc-js";
 *
 * registerEtcdResolver(grpc);
 * const client = new grpc.Client("etcd:///svc/orders", grpc.credentials.createInsecure(), {
 *   "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
 * });
 * ```
 *
 * The prefix is the target's path without its first slash, as Go's resolver has it: `etcd:///svc/orders` is
 * `svc/orders/`, and `etcd:////svc/orders` is `/svc/orders/`. A channel to a target without a prefix, `etcd:///`,
 * throws InvalidOptionError.
 *
 * Guaranteed: a channel has the servers of the list, but for those that are draining, and gets each change; all
 * channels of one prefix share one subscription, which ends when the last of them is closed or idle. In an outage of
 * etcd the last list stays; a channel that wakes up then gets the one that it had before it became idle. While a list
 * is empty, calls fail with UNAVAILABLE; those that wait for ready wait for the first server.
 *
 * Not guaranteed: that a server which is listed answers: grpc-js leaves out those that it cannot reach. Nor that the
 * servers of a channel that wakes up in an outage are still there: it did not follow them meanwhile. Nor weights and
 * zones: the policies of grpc-js know none. They are in `endpoint.attributes` for policies of the user's own.
 *
 * @throws InvalidOptionError for another module or version than grpc-js 1.10 to 1.14, and for a bad option
 */
export function registerEtcdResolver(grpc: GrpcJs, options: EtcdResolverOptions = {}): EtcdResolver {
  const { experimental, Metadata } = checkGrpcJs(what, grpc);
  const { scheme, client, owned } = resolve(options);
  const leave = takeScheme(experimental.registerResolver, scheme);
  const lists = new Map<string, SharedList>();
  const refused = new RefusedAddresses();
  const isClosed = `the resolver of ${scheme}: is closed`;
  let closed = false;

  class Resolver {
    readonly #prefix: string;
    readonly #channel: ChannelListener;
    #list: SharedList | undefined;

    constructor(target: GrpcTarget, listener: unknown) {
      this.#prefix = prefixOf(target);
      this.#channel = new ChannelListener(checkListener(what, listener), () => new Metadata());
    }

    /**
     * Once for a channel that wakes up, and whenever a connection of it is lost: changes come by themselves. And at a
     * call of one that forgot that its list is empty.
     */
    updateResolution(): void {
      this.#channel.wake();
      if (closed) {
        setImmediate(() => this.#channel.fail(isClosed));
        return;
      }
      if (this.#list) {
        this.#list.repeat(this.#channel);
        return;
      }
      const list = lists.get(this.#prefix) ?? new SharedList(this.#prefix, client, refused);
      lists.set(this.#prefix, list);
      this.#list = list;
      list.join(this.#channel);
    }

    /** For a channel that is closed, or idle: then it is used again. */
    destroy(): void {
      this.#channel.sleep();
      if (this.#list?.leave(this.#channel)) lists.delete(this.#prefix);
      this.#list = undefined;
    }

    /** What certificates of the servers must be for: the last part of the path. */
    static getDefaultAuthority(target: GrpcTarget): string {
      return prefixOf(target).split("/").filter(Boolean).at(-1) ?? "etcd";
    }
  }

  experimental.registerResolver(scheme, Resolver);
  const close = async () => {
    if (!closed) leave();
    closed = true;
    for (const list of lists.values()) list.close(isClosed);
    lists.clear();
    await owned?.close();
  };
  return {
    scheme,
    get prefixes() {
      return [...lists.keys()];
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** How many resolvers of each scheme are open, by the function of a copy of grpc-js that takes them. */
const open = new WeakMap<object, Map<string, number>>();

/** Warns when another resolver has the scheme. @returns what ends that this one has it */
function takeScheme(registry: object, scheme: string): () => void {
  const schemes = open.get(registry) ?? new Map<string, number>();
  open.set(registry, schemes);
  const before = schemes.get(scheme) ?? 0;
  if (before > 0) {
    const problem = `the scheme ${scheme}: has a resolver already; new channels use this one in its place`;
    process.emitWarning(`${what}: ${problem}`, { type: "EtcdWarning" });
  }
  schemes.set(scheme, before + 1);
  return () => schemes.set(scheme, (schemes.get(scheme) ?? 1) - 1);
}

/** @throws InvalidOptionError for a target that names no prefix: of `etcd:///` grpc-js makes the path `///` */
function prefixOf({ path }: GrpcTarget): string {
  if (/^\/*$/.test(path))
    throw new InvalidOptionError(what, "target", "must have a prefix, such as etcd:///svc/orders");
  return path.endsWith("/") ? path : `${path}/`;
}

/** Those of grpc-js itself and of its xDS: a resolver of ours would take their targets. */
const taken = new Set(["dns", "unix", "ipv4", "ipv6", "xds"]);

interface Resolved {
  readonly scheme: string;
  readonly client: EtcdClient | undefined;
  /** The client, if it is made here. */
  readonly owned: EtcdClient | undefined;
}

function resolve(options: EtcdResolverOptions): Resolved {
  checkObject(what, "options", options);
  const { scheme = "etcd", client, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new InvalidOptionError(what, unknown, "is no option: they are client and scheme");
  if (typeof scheme !== "string" || !/^[a-z][a-z\d+.-]*$/i.test(scheme)) {
    throw new InvalidOptionError(what, "scheme", `must be the scheme of a URI such as "etcd", not ${shown(scheme)}`);
  }
  if (taken.has(scheme.toLowerCase())) {
    throw new InvalidOptionError(what, "scheme", `must not be ${scheme}: that is one of gRPC's own`);
  }
  if (client === undefined || client instanceof EtcdClient) return { scheme, client, owned: undefined };
  const example = '{ endpoints: "http://127.0.0.1:2379" }';
  checkObject(what, "client", client, `an EtcdClient of this package, or options for one, such as ${example}`);
  const owned = new EtcdClient({ ...client });
  return { scheme, client: owned, owned };
}
