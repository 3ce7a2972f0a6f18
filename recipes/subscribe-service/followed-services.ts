import type { EtcdClient, MirrorBatch } from "../../src/index.ts";
import { channels, onAbort, type Runtime, runtimeOf } from "../../src/internal/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import type { RecipeClient } from "../recipe/index.ts";
import { InstanceReader } from "./instance-reader.ts";
import type { ListChange, ListStep } from "./list-change.ts";
import type { ListSource } from "./list-source.ts";
import { LiveList, type TakenStep } from "./live-list.ts";
import type { ResolvedSubscribe } from "./options.ts";
import { OutlierDetector } from "./outlier-detector.ts";
import { RemovalGuard } from "./removal-guard.ts";
import { isSameRegistration, type ServiceInstance, withEjected } from "./service-instance.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

/** A part of the list, which follows it step by step. */
export interface ListPart<Metadata> {
  /** Brings it up to date. */
  follow(step: ListStep<Metadata>): TakenStep<Metadata>;
  emit(taken: TakenStep<Metadata>): void;
  statusChanged(status: SubscribeStatus): void;
  failed(error: Error): void;
}

/** The services under a prefix: follows etcd, and brings the list and its parts up to date, step by step. */
export class FollowedServices<Metadata> implements ListSource<Metadata> {
  readonly etcd: EtcdClient;
  readonly runtime: Runtime;
  readonly list: LiveList<Metadata>;
  readonly prefix: string;
  readonly views = new Set<ListPart<Metadata>>();
  readonly #follower: PrefixFollower;
  readonly #reader: InstanceReader<Metadata>;
  readonly #outliers: OutlierDetector | undefined;
  readonly #guard: RemovalGuard | undefined;
  /** While one is taken: that one, and those that it causes. */
  readonly #untaken: ListStep<Metadata>[] = [];
  /** While it is being emitted: what is, and what comes after it. */
  readonly #waiting: { to: { emit(taken: TakenStep<Metadata>): void }; taken: TakenStep<Metadata> }[] = [];
  #revision = 0;

  /** Starts to follow at once, in the background. */
  constructor(options: ResolvedSubscribe<Metadata>, client: RecipeClient) {
    this.etcd = client.etcd;
    this.runtime = runtimeOf(client.etcd);
    this.list = new LiveList(this.runtime, options);
    this.prefix = options.prefix;
    this.#reader = new InstanceReader(options.prefix, options.metadata, options.formats);
    this.#outliers = this.#detectOutliers(options);
    this.#guard = this.#guardRemovals(options);
    this.#follower = new PrefixFollower({
      what: "the subscription",
      prefix: this.prefix,
      client,
      mirror: "shared",
      onNews: (news) => this.#followed(news),
    });
    onAbort(this.#follower.ended, () => this.#end());
  }

  get ready(): Promise<void> {
    return this.#follower.ready;
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

  get ended(): AbortSignal {
    return this.#follower.ended;
  }

  get whole(): number {
    return this.list.table.size;
  }

  /** How many are gone from etcd and held back. */
  get heldBack(): number {
    return this.#guard?.heldBack ?? 0;
  }

  /** Resolves when it is ready and has all that etcd had at the call, or more. @throws why it ended */
  caughtUp(): Promise<void> {
    return this.#follower.caughtUp();
  }

  close(): Promise<void> {
    return this.#follower.close();
  }

  reported(instance: ServiceInstance<Metadata>, error: unknown): void {
    // The list stays as it is.
    if (this.ended.aborted) return;
    const listed = this.list.table.get(instance.key);
    // What came of calls to one that had the key before says nothing about this one.
    if (listed && isSameRegistration(listed, instance)) this.#outliers?.report(instance.key, error);
  }

  /** What is in the list now, as a first step; undefined before the first list. */
  asStep(): ListStep<Metadata> | undefined {
    const { listed, table } = this.list;
    if (!listed) return undefined;
    const puts = table.all().map((instance): ListChange<Metadata> => ({ type: "put", instance }));
    const leaving = table
      .all()
      .filter(({ key }) => table.isLeaving(key))
      .map(({ key }): ListChange<Metadata> => ({ type: "leaving", key, leaving: true }));
    return { changes: [...puts, ...leaving], first: true };
  }

  #followed(news: FollowNews): void {
    switch (news.type) {
      case "status":
        this.list.notify(["status", news.status]);
        for (const view of [...this.views]) view.statusChanged(news.status);
        break;
      case "warning":
        this.list.notify(["warning", news.error]);
        break;
      case "failed":
        this.list.notify(["failed", news.error]);
        for (const view of this.views) view.failed(news.error);
        break;
      default:
        this.#apply(news);
    }
  }

  #apply(batch: MirrorBatch): void {
    const changes: ListChange<Metadata>[] = [];
    for (const { key } of batch.deletes) changes.push({ type: "delete", key });
    const made = this.#follower.made(this.#reader.how);
    for (const kv of batch.puts) {
      const change = this.#reader.read(kv, made);
      if (change.type === "put") changes.push({ type: "put", instance: this.#withEjection(change.instance) });
      // For what cannot be read that, and that there is none any more.
      else changes.push(change, { type: "delete", key: kv.key });
    }
    this.#revision = batch.revision;
    const first = batch.type === "snapshot";
    this.#step({ changes: this.#guard?.postpone(changes) ?? changes, first });
    this.#guard?.look();
  }

  /**
   * Brings the list and its views up to date, then emits it: after what is being emitted, if a listener caused it. One
   * that a user's balancer or predicate causes while another is taken is taken after that.
   */
  #step(step: ListStep<Metadata>): void {
    this.#untaken.push(step);
    if (this.#untaken.length > 1) return;
    const isTelling = this.#waiting.length > 0;
    try {
      for (const next of this.#untaken) this.#take(next);
    } finally {
      this.#untaken.length = 0;
    }
    if (isTelling) return;
    try {
      for (const { to, taken } of this.#waiting) to.emit(taken);
    } finally {
      this.#waiting.length = 0;
    }
  }

  #take(step: ListStep<Metadata>): void {
    for (const change of step.changes) {
      if (change.type === "delete") this.#outliers?.forget(change.key);
    }
    // A view that a user's balancer asks for while this is taken begins with it.
    const views = [...this.views];
    this.#waiting.push({ to: this.list, taken: this.list.take(step) });
    for (const view of views) this.#waiting.push({ to: view, taken: view.follow(step) });
  }

  /** What is ejected stays it when it says something new; another one under its key begins anew. */
  #withEjection(instance: ServiceInstance<Metadata>): ServiceInstance<Metadata> {
    const listed = this.list.table.get(instance.key);
    if (!listed) return instance;
    if (isSameRegistration(listed, instance)) return listed.ejected ? withEjected(instance, true) : instance;
    this.#outliers?.forget(instance.key);
    return instance;
  }

  #detectOutliers({ outlierDetection: options }: ResolvedSubscribe<Metadata>): OutlierDetector | undefined {
    if (!options) return undefined;
    const withListed = (key: string, then: (instance: ServiceInstance<Metadata>) => ListChange<Metadata>) => {
      const instance = this.list.table.get(key);
      if (instance) this.#step({ changes: [then(instance)] });
    };
    return new OutlierDetector({
      options,
      clock: this.runtime.clock,
      population: () => this.list.table.serving,
      onEject: (key, ejection) =>
        withListed(key, (instance) => {
          const { reason, forMs, times } = ejection;
          if (channels.ejections.heard) {
            channels.ejections.publish({ ...this.#described(instance), event: "ejected", reason, forMs, times });
          }
          return { type: "ejected", instance: withEjected(instance, true), ejection };
        }),
      onReadmit: (key) =>
        withListed(key, (instance) => {
          if (channels.ejections.heard) {
            channels.ejections.publish({ ...this.#described(instance), event: "readmitted" });
          }
          return { type: "readmitted", instance: withEjected(instance, false) };
        }),
    });
  }

  #described({ id, address }: ServiceInstance<Metadata>): { prefix: string; id: string; address: string } {
    return { prefix: this.prefix, id, address };
  }

  #guardRemovals({ maxDropRatio, dropHoldMs }: ResolvedSubscribe<Metadata>): RemovalGuard | undefined {
    if (maxDropRatio === undefined) return undefined;
    return new RemovalGuard({
      what: this.prefix,
      maxDropRatio,
      holdMs: dropHoldMs,
      clock: this.runtime.clock,
      size: () => this.list.table.size,
      isListed: (key) => this.list.table.get(key) !== undefined,
      onChanges: (changes) => this.#step({ changes }),
      // A balancer of the user's own, or who waits for a list, may have closed it.
      onWarning: (error) => !this.list.finished && this.list.notify(["warning", error]),
    });
  }

  #end(): void {
    this.#outliers?.close();
    this.#guard?.close();
    this.list.finish();
  }
}
