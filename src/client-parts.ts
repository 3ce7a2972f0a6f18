import type { EtcdClientOptions, ResolvedClientOptions } from "./client-options.ts";
import { type ConnectionNotices, openProtocol, type Protocol, type SrvResolver } from "./connection/index.ts";
import { type Runtime, systemRuntime } from "./internal/runtime.ts";

/** What a client is made of, besides its options. */
export interface ClientParts {
  readonly runtime: Runtime;
  /** What asks DNS. @default Node's own resolver */
  readonly resolver?: (() => SrvResolver) | undefined;
  openProtocol(options: ResolvedClientOptions & Surroundings): Protocol;
}

interface Surroundings {
  readonly runtime: Runtime;
  readonly resolver?: (() => SrvResolver) | undefined;
  readonly notices: ConnectionNotices;
}

const systemParts: ClientParts = { runtime: systemRuntime, openProtocol };

const given = new WeakMap<EtcdClientOptions, ClientParts>();

/**
 * Options of a client that is made of other parts: of an etcd in memory, in virtual time. They go with these very
 * options, and not with a copy.
 */
export function withParts(options: EtcdClientOptions, parts: Partial<ClientParts>): EtcdClientOptions {
  const own = { ...options };
  given.set(own, { ...systemParts, ...parts });
  return own;
}

export function partsOf(options: EtcdClientOptions): ClientParts {
  return given.get(options) ?? systemParts;
}
