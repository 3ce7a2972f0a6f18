import { ClientNotices } from "./client-events.ts";
import { type EtcdClientOptions, resolveClientOptions } from "./client-options.ts";
import { partsOf } from "./client-parts.ts";
import type { Protocol } from "./connection/index.ts";
import { ClientClosedError } from "./errors/client-closed-error.ts";
import type { Runtime } from "./internal/runtime.ts";
import { ServerLimits } from "./internal/server-limits.ts";
import { Kv, PointReads, RangeCounts } from "./kv/index.ts";
import { LeaseEngine, Leases } from "./lease/index.ts";
import { MemberFollower } from "./member-endpoints.ts";
import { CloseListeners, type FollowParts, HistoryProofs, WatchHub } from "./watch/index.ts";

/** How long `close()` gives etcd to revoke the leases of a client. */
const CLOSE_LIMIT_MS = 2_000;

/** What all clients on the same connections share. */
interface Shared {
  readonly runtime: Runtime;
  readonly limits: ServerLimits;
  readonly hub: WatchHub;
  readonly leaseEngine: LeaseEngine;
  readonly autoBatch: boolean;
  readonly notices: ClientNotices;
  readonly members: MemberFollower | undefined;
  /** That of the client's options. */
  readonly namespace: Uint8Array;
}

/** Where the keys of a client are, below those of the client that has the connections. */
interface Space {
  readonly protocol: Protocol;
  readonly namespace: Uint8Array;
}

const given = new WeakMap<EtcdClientOptions, ClientCore>();

/**
 * The engines of one client, as `EtcdClient` hands its calls to them. Those of a namespace have calls and batches of
 * their own, so that what etcd refuses of one is nothing to the others, and share connections, the stream of watches,
 * that of renewals, and what was learned of the server's limits. They know their parent, never the other way round: one
 * that is let go of without a close leaves nothing behind.
 */
export class ClientCore {
  readonly protocol: Protocol;
  readonly runtime: Runtime;
  readonly limits: ServerLimits;
  readonly kv: Kv;
  readonly leases: Leases;
  readonly follow: FollowParts;
  readonly #shared: Shared;
  readonly #namespace: Uint8Array;
  readonly #parent: ClientCore | undefined;
  #closing: Promise<void> | undefined;

  /** @throws InvalidOptionError that names the option, before any I/O */
  static of(options: EtcdClientOptions): ClientCore {
    return given.get(options) ?? ClientCore.#open(options);
  }

  static #open(options: EtcdClientOptions): ClientCore {
    const resolved = resolveClientOptions(options);
    const { runtime, resolver, openProtocol } = partsOf(options);
    const notices = new ClientNotices(runtime.clock);
    let members: MemberFollower | undefined;
    const protocol = openProtocol({
      ...resolved,
      runtime,
      resolver,
      notices: {
        connected: (endpoint) => {
          notices.emit("connected", endpoint);
          members?.connected();
        },
        disconnected: (endpoint, reason) => notices.emit("disconnected", endpoint, reason),
      },
    });
    if (resolved.followMembers) members = new MemberFollower(protocol, runtime);
    const { autoBatch, dialTimeoutMs } = resolved;
    const limits = new ServerLimits();
    const hub = new WatchHub(protocol, dialTimeoutMs, runtime, limits);
    const leaseEngine = new LeaseEngine(protocol, dialTimeoutMs, runtime);
    const { namespace } = resolved;
    const shared = { runtime, limits, hub, leaseEngine, autoBatch, notices, members, namespace };
    return new ClientCore(shared, { protocol, namespace: new Uint8Array() });
  }

  private constructor(shared: Shared, { protocol, namespace }: Space, parent?: ClientCore) {
    const { runtime, limits, hub, autoBatch } = shared;
    const { clock } = runtime;
    const reads = new PointReads(protocol, clock, limits);
    const counts = new RangeCounts(protocol, clock, limits);
    const closing = new CloseListeners(parent?.follow.closing);
    const space = parent && { namespace, protocol, proofs: new HistoryProofs(protocol, clock, limits) };
    this.protocol = protocol;
    this.runtime = runtime;
    this.limits = limits;
    this.kv = new Kv(protocol, reads, clock, autoBatch, limits);
    this.leases = new Leases(protocol, shared.leaseEngine);
    this.follow = { hub, space, protocol, reads, counts, runtime, closing };
    this.#shared = shared;
    this.#namespace = namespace;
    this.#parent = parent;
  }

  /** Options that make a client of the keys that begin with `namespace`, on the connections of this one. */
  within(namespace: Uint8Array): EtcdClientOptions {
    const options: EtcdClientOptions = {};
    const protocol = this.protocol.within(namespace);
    const all = Buffer.concat([this.#namespace, namespace]);
    given.set(options, new ClientCore(this.#shared, { protocol, namespace: all }, this));
    return options;
  }

  /** What stands before every key that is asked for here. */
  get namespace(): Uint8Array {
    return Buffer.concat([this.#shared.namespace, this.#namespace]);
  }

  /** What becomes of the connections, for those who listen. */
  get notices(): ClientNotices {
    return this.#shared.notices;
  }

  get closed(): boolean {
    return this.#closing !== undefined || this.#parent?.closed === true;
  }

  /** @throws ClientClosedError */
  checkOpen(call: string): void {
    if (this.closed) throw new ClientClosedError(`${call}: the client is closed`);
  }

  close(): Promise<void> {
    // In a moment: it is closed before any listener hears of it, for that may close it, too.
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.follow.closing.close(new ClientClosedError("the client was closed"));
    if (this.#parent) {
      await this.leases.close(CLOSE_LIMIT_MS);
      return;
    }
    this.#shared.members?.close();
    this.#shared.hub.close();
    await this.#shared.leaseEngine.close(CLOSE_LIMIT_MS);
    this.protocol.close();
  }
}
