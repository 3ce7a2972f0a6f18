import type { EtcdClient, KeyValue, LeaseId } from "../../src/index.ts";
import { runtimeOf } from "../../src/internal/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import { recipeClient } from "../recipe/index.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { QueueView } from "./queue-view.ts";
import type { Claim } from "./queued-job.ts";

/** A worker that looks for jobs in a shared view. */
export interface ViewMember {
  /** The view has changed. */
  look(): void;
  /** A claim of one of its leases is there. */
  claimSeen(id: string, claim: Claim): void;
  /** A claim of one of its leases is gone. */
  claimGone(id: string, claim: Claim): void;
  /** Its key as a worker, on this lease, is gone: all its jobs are free. */
  workerGone(lease: LeaseId): void;
  /** Its place among those who wait is gone. */
  placeGone(place: KeyValue): void;
  /** What is retried, or what cannot be read. */
  warn(error: Error): void;
  /** The queue is followed, for the first time or again. */
  worked(): void;
  /** The end: the queue cannot be followed. */
  fail(error: Error): void;
}

const ofClients = new WeakMap<EtcdClient, Map<string, SharedView>>();

/**
 * What stands under a queue's name, followed once for all its workers on one client: one watch, one list and one view,
 * however many `Queue` objects there are. It ends with the last of them, or when it fails; the next one begins a new
 * one.
 *
 * Its workers do not compete: they look for jobs one after the other, those who wait first, in the order in which etcd
 * has them wait, and what one of them claims the others leave alone.
 */
export class SharedView {
  readonly jobs: QueueView;
  readonly #views: Map<string, SharedView>;
  readonly #keys: QueueKeys;
  readonly #etcd: EtcdClient;
  readonly #follower: PrefixFollower;
  readonly #members = new Set<ViewMember>();
  readonly #byLease = new Map<LeaseId, ViewMember>();
  #hasWorked = false;
  /** Until a worker comes or goes. */
  #hasAll: boolean | undefined;

  private constructor(etcd: EtcdClient, keys: QueueKeys, views: Map<string, SharedView>) {
    this.#etcd = etcd;
    this.#keys = keys;
    this.#views = views;
    this.jobs = new QueueView(keys);
    this.#follower = new PrefixFollower({
      what: "the worker",
      prefix: `${keys.name}/`,
      client: recipeClient(etcd),
      mirror: "own",
      onNews: (news) => this.#followed(news),
    });
  }

  /** The view of this queue through this client; a new one begins after the caller's turn of the event loop. */
  static join(etcd: EtcdClient, keys: QueueKeys, member: ViewMember): SharedView {
    const views = ofClients.get(etcd) ?? new Map<string, SharedView>();
    ofClients.set(etcd, views);
    const shared = views.get(keys.name) ?? new SharedView(etcd, keys, views);
    views.set(keys.name, shared);
    shared.#members.add(member);
    return shared;
  }

  /** Whether the queue could be followed before: what etcd refuses later is waited out. */
  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  /** The revision that the view is at, which the mirror can be ahead of; 0 before the first list. */
  get revision(): number {
    return this.jobs.revision;
  }

  /** Whether all workers that there are share this view. */
  get hasAll(): boolean {
    this.#hasAll ??= !this.jobs.hasOthers(this.#byLease);
    return this.#hasAll;
  }

  /** What happens to claims and places on this lease concerns this worker. */
  use(lease: LeaseId, member: ViewMember): void {
    this.#byLease.set(lease, member);
    this.#hasAll = undefined;
  }

  /** This lease is over. */
  forget(lease: LeaseId): void {
    this.#byLease.delete(lease);
    this.#hasAll = undefined;
  }

  async leave(member: ViewMember): Promise<void> {
    this.#members.delete(member);
    for (const [lease, of] of this.#byLease) if (of === member) this.#byLease.delete(lease);
    this.#hasAll = undefined;
    if (this.#members.size > 0) return;
    this.#end();
    await this.#follower.close();
  }

  #end(): void {
    if (this.#views.get(this.#keys.name) === this) this.#views.delete(this.#keys.name);
  }

  #followed(news: FollowNews): void {
    switch (news.type) {
      case "status":
        if (news.status !== "live") break;
        this.#hasWorked = true;
        for (const member of this.#members) member.worked();
        break;
      case "warning":
        for (const member of [...this.#members]) member.warn(news.error);
        break;
      case "failed":
        this.#end();
        for (const member of [...this.#members]) member.fail(news.error);
        break;
      default:
        this.#hasAll = undefined;
        this.jobs.apply(news, runtimeOf(this.#etcd).clock.monotonicMs());
        this.passOnNews();
        for (const member of this.#inTurn()) member.look();
    }
  }

  /** Hands what the view has found to those whom it concerns. */
  passOnNews(): void {
    for (const news of this.jobs.takeNews()) {
      if (news.type === "invalid") for (const member of [...this.#members]) member.warn(news.error);
      else if (news.type === "left") this.#of(news.place.lease)?.placeGone(news.place);
      else if (news.type === "ended") this.#of(news.worker)?.workerGone(news.worker);
      else if (news.type === "claimed") this.#of(news.claim.lease)?.claimSeen(news.id, news.claim);
      else this.#of(news.claim.lease)?.claimGone(news.id, news.claim);
    }
  }

  #of(lease: LeaseId | undefined): ViewMember | undefined {
    return lease && this.#byLease.get(lease);
  }

  /** Those who wait, in the order in which they do, and then the others. */
  #inTurn(): ReadonlySet<ViewMember> {
    const inTurn = new Set<ViewMember>();
    for (const lease of this.jobs.waiting) {
      const member = this.#byLease.get(lease);
      if (member) inTurn.add(member);
    }
    for (const member of this.#members) inTurn.add(member);
    return inTurn;
  }
}
