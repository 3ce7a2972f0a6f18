import { InvalidOptionError, type KeyValue, type MirrorBatch } from "../../src/index.ts";
import { asError, log, onAbort, type Runtime, runtimeOf, showAs } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import { recipeClient } from "../recipe/index.ts";
import { decodeRegistration } from "../registration-format/internal.ts";
import { type InstanceFilter, toPredicate } from "./instance-filter.ts";
import type { ListChange, ListStep } from "./list-change.ts";
import {
  type ResolvedSubscribe,
  resolveSubscribe,
  resolveView,
  type SubscribeServiceOptions,
  type ViewOptions,
} from "./options.ts";
import { OutlierDetector } from "./outlier-detector.ts";
import { RemovalGuard } from "./removal-guard.ts";
import { isSameRegistration, type ServiceInstance, toInstance, withEjected } from "./service-instance.ts";
import { ServiceList } from "./service-list.ts";
import { ServiceView } from "./service-view.ts";
import { validateMetadata } from "./standard-schema.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

const debug = log("subscribe");

/** How instances are read by those who have no schema. */
const withoutSchema = {};

/**
 * The list of the services under a prefix, kept true.
 *
 * ```ts
 * const services = new SubscribeService("/publictest/pipeline/", { balancer: "p2c" });
 * await services.ready;
 * services.on("change", (list) => console.log(list.map(({ address }) => address)));
 * const { address } = services.pick(); // throws NoServersError when there is none
 * await services.call(
 *   async (server, signal) => {
 *     const response = await fetch(`http://${server.address}/run`, { signal });
 *     if (response.status >= 500) throw new Error(`${server.address} answered ${response.status}`);
 *     return response;
 *   },
 *   { attempts: 3 },
 * );
 * ```
 *
 * Guaranteed: after the first, the list is one that etcd had, but for what `maxDropRatio` holds back; no change is
 * missed, whatever happens to the connection or to etcd. Events are told in etcd's order, one batch after the other,
 * and the list is already the new one when they are. An instance that was deleted and made again is told as `delete`,
 * then `put`; with `maxDropRatio`, as `put` alone if it came back before its removal was told. In an outage the last
 * good list stays, with its age. One value that cannot be read is kept out and reported, and hurts nothing else. No
 * listener, and no promise that is not awaited, can end the process.
 *
 * Not guaranteed: that a listed service answers. A dead one stays until its lease ends: use `call()`, or `report()`.
 * Nor that every state in between is told: after an outage, and to a process that is too slow, only what differs.
 *
 * Several of one prefix and client in a process share one watch and one copy of what stands in etcd. One that joins
 * others has their list at once, of whatever age, and is `ready` and `live` when it has what etcd had when it was made.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: before `ready`, `PermissionDeniedError` and
 * `UnauthenticatedError`; at any time `ClientClosedError`, and `InvalidOptionError` for a metadata schema that turns
 * out to be asynchronous. An etcd that is out of reach is retried for ever; `status` and `warning` say so. A role, a
 * user or a password that is missing after `ready` is retried so too, after pauses that grow to 30 s.
 */
export class SubscribeService<Metadata = unknown> extends ServiceList<Metadata> {
  static {
    showAs(SubscribeService, "SubscribeService", (it) => ({
      prefix: it.prefix,
      status: it.status,
      revision: it.revision,
      list: it.list(),
    }));
  }

  readonly prefix: string;
  readonly ready: Promise<void>;
  readonly #options: ResolvedSubscribe<Metadata>;
  readonly #runtime: Runtime;
  readonly #follower: PrefixFollower;
  readonly #views = new Set<ServiceView<Metadata>>();
  readonly #outliers: OutlierDetector | undefined;
  readonly #guard: RemovalGuard | undefined;
  /** While one is taken: that one, and those that it causes. */
  readonly #untaken: ListStep<Metadata>[] = [];
  /** While it is being told: what is, and what comes after it. */
  readonly #untold: (() => void)[] = [];
  #revision = 0;

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix `/svc` is read as `/svc/`, so that `/svc2/a` is no neighbour
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: SubscribeServiceOptions<Metadata> = {}) {
    const resolved = resolveSubscribe<Metadata>(prefix, options);
    const client = recipeClient(resolved.client);
    const runtime = runtimeOf(client.etcd);
    super(runtime, resolved);
    this.#options = resolved;
    this.#runtime = runtime;
    this.prefix = resolved.prefix;
    this.#outliers = this.#detectOutliers();
    this.#guard = this.#guardRemovals();
    this.#follower = new PrefixFollower({
      what: "the subscription",
      prefix: this.prefix,
      client,
      mirror: "shared",
      onNews: (news) => this.#followed(news),
    });
    this.ready = this.#follower.ready;
    onAbort(this.#follower.ended, () => this.#end());
  }

  get status(): SubscribeStatus {
    return this.#follower.status;
  }

  get staleForMs(): number {
    return this.#follower.staleForMs;
  }

  get revision(): number {
    return this.#revision;
  }

  /** How many of the listed services are gone from etcd and held back by `maxDropRatio`. */
  get heldBack(): number {
    return this.#guard?.heldBack ?? 0;
  }

  /**
   * A part of the list, with a strategy, events and waits of its own, and without a watch of its own. It has what is
   * listed now at once. It lives until it, or this list, is closed.
   *
   * ```ts
   * const isGold = ({ tier }) => tier === "gold";
   * const canaries = services.view({ version: "2.0.0-rc1", zone: ["a", "b"], metadata: isGold });
   * ```
   *
   * @throws InvalidOptionError; ClientClosedError after `close()`; the failure after `failed`
   */
  view(filter: InstanceFilter<Metadata>, options: ViewOptions<Metadata> = {}): ServiceView<Metadata> {
    const resolved = resolveView(filter, options, this.#options);
    this.ended.throwIfAborted();
    const service = this;
    const view: ServiceView<Metadata> = new ServiceView(
      {
        runtime: this.#runtime,
        prefix: this.prefix,
        caughtUp: () => this.caughtUp(),
        ended: this.ended,
        get status() {
          return service.status;
        },
        get staleForMs() {
          return service.staleForMs;
        },
        get revision() {
          return service.revision;
        },
        get size() {
          return service.table.size;
        },
        asStep: () => (this.listed ? this.#asStep() : undefined),
        reported: (instance, error) => this.reported(instance, error),
        onClosed: () => this.#views.delete(view),
        matches: toPredicate(resolved.filter),
      },
      resolved.pick,
    );
    this.#views.add(view);
    return view;
  }

  async close(): Promise<void> {
    await this.#follower.close();
  }

  /** Resolves when it is ready and has all that etcd had at the call, or more. @throws why it ended @internal */
  caughtUp(): Promise<void> {
    return this.#follower.caughtUp();
  }

  /** @internal */
  protected get ended(): AbortSignal {
    return this.#follower.ended;
  }

  /** @internal */
  protected reported(instance: ServiceInstance<Metadata>, error: unknown): void {
    // The list stays as it is.
    if (this.ended.aborted) return;
    const listed = this.table.get(instance.key);
    // What came of calls to one that had the key before says nothing about this one.
    if (listed && isSameRegistration(listed, instance)) this.#outliers?.report(instance.key, error);
  }

  #followed(news: FollowNews): void {
    switch (news.type) {
      case "status":
        this.notify("status", news.status);
        for (const view of [...this.#views]) view.statusChanged(news.status);
        break;
      case "warning":
        this.notify("warning", news.error);
        break;
      case "failed":
        this.notify("failed", news.error);
        for (const view of this.#views) view.failed(news.error);
        break;
      default:
        this.#apply(news);
    }
  }

  #apply(batch: MirrorBatch): void {
    const changes: ListChange<Metadata>[] = [];
    for (const { key } of batch.deletes) changes.push({ type: "delete", key });
    for (const kv of batch.puts) this.#read(kv, changes);
    this.#revision = batch.revision;
    const first = batch.type === "snapshot";
    this.#step({ changes: this.#guard?.postpone(changes) ?? changes, first });
    this.#guard?.look();
  }

  /**
   * Brings this list and its views up to date, then tells of it: after what is being told, if a listener caused it. One
   * that a user's balancer or predicate causes while another is taken is taken after that.
   */
  #step(step: ListStep<Metadata>): void {
    this.#untaken.push(step);
    if (this.#untaken.length > 1) return;
    const isTelling = this.#untold.length > 0;
    try {
      for (const next of this.#untaken) this.#take(next);
    } finally {
      this.#untaken.length = 0;
    }
    if (isTelling) return;
    try {
      for (const tell of this.#untold) tell();
    } finally {
      this.#untold.length = 0;
    }
  }

  #take(step: ListStep<Metadata>): void {
    for (const change of step.changes) {
      if (change.type === "delete") this.#outliers?.forget(change.key);
    }
    // A view that a user's balancer asks for while this is taken begins with it.
    const views = [...this.#views];
    this.#untold.push(this.take(step), ...views.map((view) => view.follow(step)));
  }

  #asStep(): ListStep<Metadata> {
    const puts = this.list().map((instance): ListChange<Metadata> => ({ type: "put", instance }));
    const leaving = this.list()
      .filter(({ key }) => this.table.isLeaving(key))
      .map(({ key }): ListChange<Metadata> => ({ type: "leaving", key, leaving: true }));
    return { changes: [...puts, ...leaving], first: true };
  }

  /** A put of the instance; for what cannot be read that, and that there is none any more. */
  #read(kv: KeyValue, changes: ListChange<Metadata>[]): void {
    try {
      changes.push({ type: "put", instance: this.#withEjection(this.#instance(kv)) });
    } catch (error) {
      // A schema that cannot be used at all is a mistake in the program, not in one value.
      if (error instanceof InvalidOptionError) throw error;
      debug("%s is kept out: %s", kv.key, (error as Error).message);
      changes.push({ type: "invalid", key: kv.key, error: asError(error) }, { type: "delete", key: kv.key });
    }
  }

  /** As another list of this prefix has read it, else by itself. */
  #instance(kv: KeyValue): ServiceInstance<Metadata> {
    const made = this.#follower.made(this.#options.metadata ?? withoutSchema);
    const known = made?.get(kv) as ServiceInstance<Metadata> | undefined;
    if (known) return known;
    const instance = this.#toInstance(kv);
    made?.set(kv, instance);
    return instance;
  }

  /** @throws InvalidValueError that says why it cannot be read */
  #toInstance(kv: KeyValue): ServiceInstance<Metadata> {
    const id = kv.key.slice(this.prefix.length);
    if (id === "") throw new InvalidValueError("the key is the prefix itself and names no instance");
    // Two such keys can read the same, and a text that is not the key finds nothing in etcd.
    if (kv.key.includes("\ufffd")) throw new InvalidValueError("the key is not UTF-8");
    const registration = decodeRegistration(kv.text);
    const schema = this.#options.metadata;
    const metadata = schema ? validateMetadata(schema, registration.metadata) : (registration.metadata as Metadata);
    return toInstance(kv, id, registration, metadata);
  }

  /** What is ejected stays it when it says something new; another one under its key begins anew. */
  #withEjection(instance: ServiceInstance<Metadata>): ServiceInstance<Metadata> {
    const listed = this.table.get(instance.key);
    if (!listed) return instance;
    if (isSameRegistration(listed, instance)) return listed.ejected ? withEjected(instance, true) : instance;
    this.#outliers?.forget(instance.key);
    return instance;
  }

  #detectOutliers(): OutlierDetector | undefined {
    const options = this.#options.outlierDetection;
    if (!options) return undefined;
    const withListed = (key: string, then: (instance: ServiceInstance<Metadata>) => ListChange<Metadata>) => {
      const instance = this.table.get(key);
      if (instance) this.#step({ changes: [then(instance)] });
    };
    return new OutlierDetector({
      options,
      clock: this.#runtime.clock,
      population: () => this.table.serving,
      onEject: (key, ejection) =>
        withListed(key, (instance) => ({ type: "ejected", instance: withEjected(instance, true), ejection })),
      onReadmit: (key) =>
        withListed(key, (instance) => ({ type: "readmitted", instance: withEjected(instance, false) })),
    });
  }

  #guardRemovals(): RemovalGuard | undefined {
    const { maxDropRatio, dropHoldMs } = this.#options;
    if (maxDropRatio === undefined) return undefined;
    return new RemovalGuard({
      what: this.prefix,
      maxDropRatio,
      holdMs: dropHoldMs,
      clock: this.#runtime.clock,
      size: () => this.table.size,
      isListed: (key) => this.table.get(key) !== undefined,
      onChanges: (changes) => this.#step({ changes }),
      // A balancer of the user's own, or who waits for a list, may have closed it.
      onHeld: (error) => !this.ended.aborted && this.notify("warning", error),
    });
  }

  #end(): void {
    this.#outliers?.close();
    this.#guard?.close();
    this.finish();
  }
}
