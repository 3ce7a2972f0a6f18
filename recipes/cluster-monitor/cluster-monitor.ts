import { ClientClosedError, InvalidOptionError } from "../../src/index.ts";
import { runtimeOf, showAs } from "../../src/internal/index.ts";
import { type CommonEvents, Notifier, type RecipeClient, recipeClient, setWhole } from "../recipe/index.ts";
import { resolveClose } from "../registration/internal.ts";
import type { CloseOptions } from "../service-register/index.ts";
import { type ServiceChanges, SubscribeService, type SubscribeStatus } from "../subscribe-service/index.ts";
import { type ClusterNode, toNode } from "./cluster-node.ts";
import type { Membership } from "./membership.ts";
import { type NodeMetadata, nodeSchema } from "./node-metadata.ts";
import { type ClusterMonitorOptions, checkNodeName, type ResolvedMonitor, resolveMonitor } from "./options.ts";
import { RegisteredNode } from "./registered-node.ts";

/**
 * `connecting`: no list yet. `live`: every change comes. `stale`: etcd is out of reach, the list is the last
 * good one. `failed`, `closed`: the end.
 */
export type ClusterMonitorStatus = SubscribeStatus;

export interface ClusterMonitorEvents<Info = unknown> extends CommonEvents {
  /** A node joined, or came back after it was down. Those of the first list too. */
  up: [node: ClusterNode<Info>];
  /** A node left, or its TTL ended after its process died; this is what it was last. */
  down: [last: ClusterNode<Info>];
  /**
   * A node says something new of itself, drains, or its process was restarted within its TTL: then `upSince` is new.
   */
  changed: [node: ClusterNode<Info>, previous: ClusterNode<Info>];
  /** A key under the prefix cannot be read as a node, so it is kept out of the list. */
  invalid: [key: string, error: Error];
  status: [status: ClusterMonitorStatus];
}

/**
 * Shows which nodes of a cluster are up: a ServiceRegister for each node that joins here, a SubscribeService for the
 * list.
 *
 * ```ts
 * const monitor = new ClusterMonitor("/nodes/", { ttlSeconds: 30 });
 * monitor.on("down", ({ name }) => console.log(`${name} is down`));
 * const membership = monitor.join("worker-1", { zone: "a" });
 * await Promise.all([monitor.ready, membership.ready]);
 * monitor.nodes(); // [{ name: "worker-1", info: { zone: "a" }, upSince, lastChange, draining: false }]
 * ```
 *
 * Guaranteed: the list is one that etcd had, no change is missed, and in an outage the last good list stays; a node
 * that joined stays listed until it leaves, also across outages: see SubscribeService and ServiceRegister. A node that
 * restarts within its TTL is `changed`, never `down` and `up`.
 *
 * Not guaranteed: that a listed node works. A dead one is `down` when its TTL ends, and a leader change in etcd gives
 * it a whole TTL again. A node that lost its lease in an outage, and lives, comes as `down` and `up` if others saw it
 * go, with the same `upSince`. The times are what each node's own clock says.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: those of SubscribeService. What happens to a membership is
 * reported by its `ready`, its `status` and by `warning`; it lasts until it leaves or `close()`.
 */
export class ClusterMonitor<Info = unknown> extends Notifier<ClusterMonitorEvents<Info>> implements AsyncDisposable {
  static {
    showAs(ClusterMonitor, "ClusterMonitor", (it) => ({ prefix: it.prefix, status: it.status, nodes: it.nodes() }));
  }

  /** Where the nodes stand, always with a slash at its end. */
  readonly prefix: string;
  /** Resolves when the first list was emitted and is followed; rejects when it never will be. It may be left unused. */
  readonly ready: Promise<void>;
  readonly #options: ResolvedMonitor<Info>;
  readonly #client: RecipeClient;
  readonly #services: SubscribeService<NodeMetadata<Info>>;
  readonly #nodes = new Map<string, ClusterNode<Info>>();
  readonly #memberships = new Map<string, Membership<Info>>();
  #list: readonly ClusterNode<Info>[] | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix where the nodes stand; `/nodes` is read as `/nodes/`; at most 65536 bytes
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: ClusterMonitorOptions<Info> = {}) {
    const resolved = resolveMonitor<Info>(prefix, options);
    const client = recipeClient(resolved.client);
    super(runtimeOf(client.etcd).clock);
    this.#options = resolved;
    this.prefix = resolved.prefix;
    this.#client = client;
    this.#services = new SubscribeService(this.prefix, {
      client: this.#client.etcd,
      metadata: nodeSchema(this.#options.info),
      format: this.#options.format,
    });
    this.ready = this.#services.ready;
    // One event for each batch: what was deleted and made again in one of them was never seen to be away.
    this.#services.on("change", (_list, changes) => this.#apply(changes));
    this.#services.on("invalid", (key, error) => this.notify("invalid", key, error));
    this.#services.on("status", (status) => this.notify("status", status));
    this.#services.on("warning", (error) => this.notify("warning", error));
    this.#services.on("failed", (error) => this.notify("failed", error));
  }

  get status(): ClusterMonitorStatus {
    return this.#services.status;
  }

  /**
   * Milliseconds since the list was last known to be followed; 0 while live. Before the first list: since the start.
   */
  get staleForMs(): number {
    return this.#services.staleForMs;
  }

  /**
   * All nodes in the order of their names; empty before the first list. Frozen; the same array until something changes.
   */
  nodes(): readonly ClusterNode<Info>[] {
    this.#list ??= Object.freeze([...this.#nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1)));
    return this.#list;
  }

  /**
   * Makes this process a node of the cluster, at once, in the background. Another process that has the name is
   * replaced; it returns when this one leaves.
   *
   * @param name stands behind the prefix: `worker-1`
   * @param info anything that JSON can write. An `address` in it, a string, is what other readers of the list connect
   *   to; without one they see the name
   * @throws InvalidOptionError for a bad name, one that has joined here already, an info that the schema rejects;
   *   ClientClosedError after `close()`
   */
  join(name: string, info: Info): Membership<Info> {
    checkNodeName(name);
    if (this.#closed) throw new ClientClosedError(`the monitor of ${this.prefix} was closed`);
    if (this.#memberships.has(name)) {
      throw new InvalidOptionError("ClusterMonitor.join", "name", `must be a new one: ${name} has joined here already`);
    }
    const membership: Membership<Info> = new RegisteredNode(name, info, {
      etcd: this.#client.etcd,
      prefix: this.prefix,
      ttlSeconds: this.#options.ttlSeconds,
      schema: this.#options.info,
      format: this.#options.format,
      caughtUp: () => this.#services.caughtUp(),
      onWarning: (error) => this.notify("warning", error),
      onLeft: () => {
        // Unless the name has joined again meanwhile.
        if (this.#memberships.get(name) === membership) this.#memberships.delete(name);
      },
    });
    setWhole(membership, this);
    this.#memberships.set(name, membership);
    return membership;
  }

  /**
   * Leaves with all that joined here, as `Membership.leave()`, then stops following; the list stays as it is. Bounded
   * as `ServiceRegister.close()`. Calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("ClusterMonitor.close", options);
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<void> {
    await Promise.all([...this.#memberships.values()].map((membership) => membership.leave({ drainMs })));
    await this.#services.close();
    await this.#client.release();
  }

  #apply({ puts, deletes }: ServiceChanges<NodeMetadata<Info>>): void {
    const events: (() => void)[] = [];
    const again = new Set(puts.map(({ id }) => id));
    for (const { id } of deletes) {
      const last = this.#nodes.get(id);
      if (!last || again.has(id)) continue;
      this.#nodes.delete(id);
      events.push(() => this.notify("down", last));
    }
    for (const instance of puts) {
      const node = toNode(instance);
      const previous = this.#nodes.get(node.name);
      this.#nodes.set(node.name, node);
      events.push(() => (previous ? this.notify("changed", node, previous) : this.notify("up", node)));
    }
    this.#list = undefined;
    for (const emit of events) emit();
  }
}
