import type { EtcdClient, KeyValue, MirrorBatch } from "../../src/index.ts";
import { asError, channels, namespaceOf, onAbort, type Runtime, runtimeOf } from "../../src/internal/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import type { RecipeClient } from "../recipe/index.ts";
import { InstanceReader } from "./instance-reader.ts";
import type { ListChange, ListStep } from "./list-change.ts";
import type { ListSource } from "./list-source.ts";
import { LiveList, type TakenStep } from "./live-list.ts";
import type { ResolvedSubscribe } from "./options.ts";
import { OutlierDetector } from "./outlier-detector.ts";
import { RemovalGuard } from "./removal-guard.ts";
import { SavedListFile } from "./saved-list.ts";
import { isSameRegistration, type ServiceInstance, withEjected } from "./service-instance.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

/** The list as a file had it. */
interface FromFile {
  readonly entries: ReadonlyMap<string, KeyValue>;
  /** How old it was when it was read. */
  readonly ageMs: number;
  readonly atMs: number;
}

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
  readonly #file: SavedListFile | undefined;
  /** What the list has from a file, until etcd says what is true. */
  #fromFile: FromFile | undefined;
  /** As it was emitted last. */
  #status: SubscribeStatus = "connecting";

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
    this.#file = this.#fileOf(options);
    if (this.#file) void this.#startFrom(this.#file);
  }

  get ready(): Promise<void> {
    return this.#follower.ready;
  }

  get status(): SubscribeStatus {
    const { status } = this.#follower;
    return status === "connecting" && this.#fromFile ? "stale" : status;
  }

  get staleForMs(): number {
    const from = this.#fromFile;
    return from ? from.ageMs + this.runtime.clock.monotonicMs() - from.atMs : this.#follower.staleForMs;
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

  async close(): Promise<void> {
    // What is to be saved is taken from what is followed still.
    await Promise.all([this.#file?.close(), this.#follower.close()]);
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
        this.#tellStatus();
        break;
      case "warning":
        this.list.notify(["warning", news.error]);
        break;
      case "failed":
        this.list.notify(["failed", news.error]);
        this.#file?.stop();
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
    const before = this.#fromFile;
    this.#fromFile = undefined;
    const first = batch.type === "snapshot" && !before;
    const differing = before ? this.#since(before, changes) : changes;
    this.#step({ changes: this.#guard?.postpone(differing) ?? differing, first });
    this.#guard?.look();
    this.#file?.changed();
  }

  /** What etcd has otherwise than the file that the list is from. */
  #since({ entries }: FromFile, changes: readonly ListChange<Metadata>[]): ListChange<Metadata>[] {
    const there = new Set(changes.map((change) => (change.type === "put" ? change.instance.key : undefined)));
    const gone = this.list.table.instances().filter(({ key }) => !there.has(key));
    const since = changes.flatMap((change): ListChange<Metadata>[] => {
      if (change.type !== "put") return [change];
      const { key } = change.instance;
      const [listed, before, now] = [this.list.table.get(key), entries.get(key), this.#follower.get(key)];
      if (!listed || !before) return [change];
      if (now && isSameEntry(before, now)) return [];
      return listed.createRevision === change.instance.createRevision ? [change] : [{ type: "delete", key }, change];
    });
    return [...gone.map(({ key }): ListChange<Metadata> => ({ type: "delete", key })), ...since];
  }

  #fileOf({ snapshotFile: path, prefix }: ResolvedSubscribe<Metadata>): SavedListFile | undefined {
    if (path === undefined) return undefined;
    return new SavedListFile({
      path,
      place: { prefix, namespace: Buffer.from(namespaceOf(this.etcd)).toString() },
      clock: this.runtime.clock,
      known: () => {
        // What is held back is the better list: etcd has lost it, it seems.
        if (!this.list.listed || this.#fromFile || this.heldBack > 0) return undefined;
        return { entries: this.#follower.entries(), ageMs: this.#follower.staleForMs };
      },
      onWarning: (error) => this.list.notify(["warning", error]),
    });
  }

  async #startFrom(file: SavedListFile): Promise<void> {
    // Nothing is emitted before the caller had a chance to listen.
    await null;
    const saved = await file.read();
    // What etcd says is newer.
    if (!saved || this.list.listed || this.ended.aborted) return;
    const { clock } = this.runtime;
    const entries = new Map(saved.entries.map((kv) => [kv.key, kv]));
    try {
      const changes = saved.entries.map((kv) => this.#reader.read(kv, undefined));
      const ageMs = Math.max(0, clock.wallMs() - saved.knownAtMs);
      this.#fromFile = { entries, ageMs, atMs: clock.monotonicMs() };
      this.#step({ changes, first: true });
      this.#tellStatus();
    } catch (error) {
      // A schema that cannot be used ends the list when etcd answers.
      this.list.notify(["warning", asError(error)]);
    }
  }

  #tellStatus(): void {
    const { status } = this;
    if (status === this.#status) return;
    this.#status = status;
    this.list.notify(["status", status]);
    for (const view of [...this.views]) view.statusChanged(status);
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

function isSameEntry(a: KeyValue, b: KeyValue): boolean {
  const isSamePut = a.createRevision === b.createRevision && a.modRevision === b.modRevision && a.lease === b.lease;
  return isSamePut && a.text === b.text;
}
