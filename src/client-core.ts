import type { EtcdClientOptions } from "./client-options.ts";
import { resolveClientOptions } from "./client-options.ts";
import { partsOf } from "./client-parts.ts";
import type { Protocol } from "./connection/index.ts";
import { ClientClosedError } from "./errors/client-closed-error.ts";
import type { Runtime } from "./internal/runtime.ts";
import { ServerLimits } from "./internal/server-limits.ts";
import { Kv, PointReads, RangeCounts } from "./kv/index.ts";
import { LeaseEngine, Leases } from "./lease/index.ts";
import { type FollowParts, WatchHub } from "./watch/index.ts";

/** How long `close()` gives etcd to revoke the leases of a client. */
const CLOSE_LIMIT_MS = 2_000;

/** The engines of one client, as `EtcdClient` hands its calls to them. */
export class ClientCore {
  readonly protocol: Protocol;
  readonly runtime: Runtime;
  readonly limits = new ServerLimits();
  readonly kv: Kv;
  readonly leases: Leases;
  readonly follow: FollowParts;
  readonly #leaseEngine: LeaseEngine;
  #closing: Promise<void> | undefined;

  /** @throws InvalidOptionError that names the option, before any I/O */
  constructor(options: EtcdClientOptions) {
    const resolved = resolveClientOptions(options);
    const { runtime, openProtocol } = partsOf(options);
    const protocol = openProtocol({ ...resolved, runtime });
    const { limits } = this;
    const reads = new PointReads(protocol, runtime.clock, limits);
    const counts = new RangeCounts(protocol, runtime.clock, limits);
    const hub = new WatchHub(protocol, resolved.dialTimeoutMs, runtime, limits);
    this.protocol = protocol;
    this.runtime = runtime;
    this.kv = new Kv(protocol, reads, runtime.clock, resolved.autoBatch, limits);
    this.#leaseEngine = new LeaseEngine(protocol, resolved.dialTimeoutMs, runtime);
    this.leases = new Leases(protocol, this.#leaseEngine);
    this.follow = { hub, protocol, reads, counts, runtime };
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** @throws ClientClosedError */
  checkOpen(call: string): void {
    if (this.closed) throw new ClientClosedError(`${call}: the client is closed`);
  }

  close(): Promise<void> {
    // In a moment: it is closed before any listener is told, for that may close it, too.
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.follow.hub.close();
    await Promise.all([this.leases.close(CLOSE_LIMIT_MS), this.#leaseEngine.close(CLOSE_LIMIT_MS)]);
    this.protocol.close();
  }
}
