import { EtcdClient, type EtcdClientOptions, InvalidOptionError } from "../../recipes/index.ts";
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
  /** What targets begin with, before the colon. @default "etcd" */
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
 * `svc/orders/`, and `etcd:////svc/orders` is `/svc/orders/`.
 *
 * Guaranteed: a channel has the servers of the list, but for those that are draining, and gets each change; all
 * channels of one prefix share one subscription, which ends when the last of them is closed or idle. In an outage of
 * etcd the last list stays; a channel that wakes up then gets the one that it had before it became idle.
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

    /** Once for a channel that wakes up, and whenever a connection of it is lost: changes come by themselves. */
    updateResolution(): void {
      this.#channel.wake();
      if (closed) {
        setImmediate(() => this.#channel.fail(isClosed));
        return;
      }
      if (this.#list) return;
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

function prefixOf({ path }: GrpcTarget): string {
  return path.endsWith("/") ? path : `${path}/`;
}

interface Resolved {
  readonly scheme: string;
  readonly client: EtcdClient | undefined;
  /** The client, if it is made here. */
  readonly owned: EtcdClient | undefined;
}

function resolve(options: EtcdResolverOptions): Resolved {
  const { scheme = "etcd", client, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new InvalidOptionError(what, unknown, "is no option: they are client and scheme");
  if (typeof scheme !== "string" || !/^[a-z][a-z\d+.-]*$/i.test(scheme)) {
    throw new InvalidOptionError(what, "scheme", `must be the scheme of a URI such as "etcd", not ${String(scheme)}`);
  }
  if (client === undefined || client instanceof EtcdClient) return { scheme, client, owned: undefined };
  const owned = new EtcdClient(client);
  return { scheme, client: owned, owned };
}
