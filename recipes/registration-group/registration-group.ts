import {
  ClientClosedError,
  type ConflictError,
  InvalidOptionError,
  type Lease,
  LeaseNotFoundError,
} from "../../src/index.ts";
import {
  Admission,
  asError,
  log,
  onAbort,
  quietDeferred,
  type Runtime,
  runtimeOf,
  showAs,
  sleep,
} from "../../src/internal/index.ts";
import { type FollowNews, LOOK_AGAIN_MS, PrefixFollower } from "../follow/index.ts";
import { LeaseLine } from "../leases/index.ts";
import { checkText } from "../option-schemas/index.ts";
import { Notifier, type RecipeClient, recipeClient, setWhole } from "../recipe/index.ts";
import type { CloseOptions, RegisterConflict } from "../registration/index.ts";
import { BulkWriter, closeLimitMs, resolveClose } from "../registration/internal.ts";
import type { DrainRequest } from "../registration-format/index.ts";
import { WarnOnce } from "../retries/index.ts";
import type { RegistrationGroupEvents } from "./group-events.ts";
import type { GroupMember } from "./group-member.ts";
import {
  type GroupMemberOptions,
  type RegistrationGroupOptions,
  type ResolvedGroup,
  type ResolvedMember,
  resolveGroup,
  resolveMember,
} from "./options.ts";
import { type MemberSurroundings, RegisteredMember } from "./registered-member.ts";
import { Roster } from "./roster.ts";
import { ValuesBeside } from "./values-beside.ts";

const debug = log("register");

/**
 * Keeps many services in the list that one process answers for, such as the jobs or tenants that it hosts: thousands of
 * keys below one prefix, on one lease, renewed by one message, followed by one watch, written by few requests.
 *
 * ```ts
 * const group = new RegistrationGroup("/publictest/pipeline/", 5);
 * const members = names.map((name) => group.register(name, "10.0.0.1:8080", { metadata: { name } }));
 * await group.ready;
 * await members[0].update({ weight: 20 });
 * await members[1].close();
 * await group.close({ drainMs: 2000 });
 * ```
 *
 * Guaranteed for each instance what a ServiceRegister guarantees: it comes back by itself after an outage of any
 * length, a revoked lease, a key deleted by hand, a wiped etcd; closed, it never comes back; no write of it lands over
 * another owner's newer one, and who was replaced waits. One instance whose first registration etcd refuses, because
 * its value is too large or its key is not permitted, fails alone; etcd before 3.4.42, 3.5.28 and 3.6.9 checks no
 * permission in nested txns, and so refuses no key here. No listener, and no promise that is not awaited, can end the
 * process.
 *
 * Not guaranteed: that instances which were registered together appear at once: each request is one revision of at most
 * 127 of them. Nor that the keys are gone at the TTL when the process dies: that is a minimum. They are lost together,
 * and there is no `health`: a process that cannot serve closes its instances.
 *
 * It follows its whole prefix, so a role needs to read that, and what others have there is in its memory too: once,
 * also if a SubscribeService of the same client follows it.
 *
 * Errors that end it, by `failed` and by rejecting what waits: before etcd has let it in, `PermissionDeniedError` for
 * reading the prefix and `UnauthenticatedError`; at any time `ClientClosedError`. Everything else emits `warning` and
 * is retried for ever, after growing, random pauses of at most 5 s; a role, a user or a password that is missing later,
 * of at most 30 s. An instance that was registered before waits so for its permission, too. Its warnings are those of
 * the group while nothing listens for them on the instance.
 */
export class RegistrationGroup extends Notifier<RegistrationGroupEvents> implements AsyncDisposable {
  static {
    showAs(RegistrationGroup, "RegistrationGroup", (it) => ({ prefix: it.prefix, size: it.size }));
  }

  /** Where the instances stand, always with a slash at its end. */
  readonly prefix: string;
  readonly #options: ResolvedGroup;
  readonly #client: RecipeClient;
  readonly #runtime: Runtime;
  readonly #leases: LeaseLine;
  readonly #writer: BulkWriter;
  readonly #roster: Roster;
  readonly #ended = new AbortController();
  readonly #around: MemberSurroundings;
  readonly #follower: PrefixFollower;
  readonly #listed = quietDeferred<void>();
  #asking: Promise<void> | undefined;
  readonly #beside: ValuesBeside;
  readonly #foreign = new WarnOnce((error) => this.notify("warning", error));
  #unwatchLease = () => {};
  #failure: Error | undefined;
  readonly #warnings = new WarnOnce((error) => this.notify("warning", error));
  /** After a failure: resolves when nothing is left. */
  #gone: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Starts to follow the prefix at once, in the background; a lease is granted with the first instance.
   *
   * @param prefix where the instances stand; `/svc` is read as `/svc/`; at most 65536 bytes
   * @param ttlSeconds how long the keys outlive a dead process, in whole seconds, 1 to 9000000000
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, ttlSeconds: number, options: RegistrationGroupOptions = {}) {
    const resolved = resolveGroup(prefix, ttlSeconds, options);
    const client = recipeClient(resolved.client);
    const runtime = runtimeOf(client.etcd);
    super(runtime.clock);
    this.#options = resolved;
    this.#client = client;
    this.#runtime = runtime;
    this.prefix = this.#options.prefix;
    this.#leases = new LeaseLine(this.#client.etcd, ttlSeconds);
    this.#writer = new BulkWriter({
      etcd: this.#client.etcd,
      leases: this.#leases,
      runtime: this.#runtime,
      onLease: (lease) => this.#watchLease(lease),
      onWarning: (error) => this.#warn(error),
      onWorked: () => this.#warnings.worked(),
      onFailed: (error) => this.#fail(error),
    });
    this.#around = this.#surroundings();
    this.#roster = new Roster(this.#around);
    this.#beside = new ValuesBeside(this.prefix, () => this.#follower.entries());
    const { etcd } = this.#client;
    this.#follower = new PrefixFollower({
      what: "the group",
      prefix: this.prefix,
      // Not released with the prefix: the lease is revoked after that.
      client: recipeClient(etcd),
      mirror: "shared",
      onNews: (news) => this.#followed(news),
    });
    void this.#lookAgain();
  }

  /**
   * Resolves when all that are registered so far have come to their first registration; rejects with the failure of the
   * first that cannot. Those that are closed meanwhile do not count. It may be left unused.
   */
  get ready(): Promise<void> {
    const ready = quietDeferred<void>();
    if (this.#failure) ready.reject(this.#failure);
    else if (this.#closed) ready.reject(this.#closedError());
    else {
      const all = this.members.map((member) =>
        member.ready.catch((error: unknown) => {
          const closedAlone = error instanceof ClientClosedError && !this.#closed && !this.#failure;
          if (!closedAlone) throw this.#failure ?? error;
        }),
      );
      Promise.all(all).then(() => ready.resolve(), ready.reject);
    }
    return ready.promise;
  }

  /** How many instances there are, closed and failed ones not counted. */
  get size(): number {
    return this.members.length;
  }

  /** All instances in the order of their registration, closed and failed ones not counted. */
  get members(): readonly GroupMember[] {
    return Object.freeze(this.#roster.members.filter(({ isLeaving }) => !isLeaving));
  }

  /**
   * The instance with this id; undefined if there is none, or it was closed.
   *
   * @throws InvalidOptionError
   */
  get(id: string): GroupMember | undefined {
    checkText("RegistrationGroup.get", id, "id");
    const member = this.#roster.get(this.prefix + id);
    return member?.isLeaving ? undefined : member;
  }

  /**
   * Starts to register one instance, in the background, together with all others of the same turn. One whose id is
   * being closed begins when that one has left.
   *
   * @param id stands behind the prefix: `m1`
   * @param address how it is reached, for instance `10.0.0.1:8080`
   * @throws InvalidOptionError for a bad argument or option, or an id that is registered here already;
   *   ClientClosedError after `close()`; the failure after `failed`
   */
  register(id: string, address: string, options: GroupMemberOptions = {}): GroupMember {
    const resolved = resolveMember(this.#options, id, address, options);
    if (this.#failure) throw this.#failure;
    if (this.#closed) throw this.#closedError();
    const before = this.#roster.get(resolved.key);
    if (before && !before.isLeaving) {
      throw new InvalidOptionError(
        "RegistrationGroup.register",
        "id",
        `must be a new one: ${id} is registered in this group already; close that one first`,
      );
    }
    const member = new RegisteredMember(resolved, this.#around);
    setWhole(member, this);
    this.#roster.add(member, this.#mayStandBeside(resolved));
    return member;
  }

  /**
   * Leaves with all instances: marks those as draining that can say so, deletes the others, waits `drainMs`, then
   * revokes the lease, which takes all keys with it. When etcd is out of reach this takes, besides the wait, 5 s or the
   * TTL at most, whichever is shorter. What goes wrong is a `warning`. Calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("RegistrationGroup.close", options);
    if (!this.#closed) {
      const closing = quietDeferred<void>();
      this.#closed = closing.promise;
      this.#close(drainMs).then(closing.resolve, closing.reject);
    }
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #surroundings(): MemberSurroundings {
    return {
      clock: this.#runtime.clock,
      admission: Admission.of(this.#client.etcd),
      limitMs: this.#limitMs,
      ended: this.#ended.signal,
      lease: () => this.#leases.current,
      isOwn: (lease) => this.#leases.has(lease),
      enqueue: (item) => this.#writer.add(item),
      hurry: () => this.#writer.hurry(),
      left: (member, gone) => this.#roster.left(member, gone),
      emit: (member, name, ...args) => {
        const [about] = args as unknown[];
        if (name === "registered") this.notify("registered", member, (about as { revision: number }).revision);
        else if (name === "lost") this.notify("lost", member, about as Error);
        else if (name === "conflict") this.notify("conflict", member, about as RegisterConflict);
        else if (name === "drain") this.notify("drain", member, about as DrainRequest);
        else if (name === "warning" && member.listenerCount("warning") === 0) this.#warn(about as Error);
        else if (name === "failed" && !this.#failure) this.notify("memberFailed", member, about as Error);
      },
    };
  }

  /** @returns resolves when what others have was looked at, if the instance is to wait for that */
  #mayStandBeside(instance: ResolvedMember): Promise<ConflictError | undefined> | undefined {
    const { foreignFormats } = this.#options;
    if (foreignFormats === "ignore") return undefined;
    if (foreignFormats === "error") return this.#upToDate().then(() => this.#beside.conflictWith(instance));
    void this.#listed.promise.then(() => {
      const conflict = this.#beside.newConflictWith(instance);
      if (conflict && !this.#ended.signal.aborted) this.#foreign.warn(conflict);
    });
    return undefined;
  }

  /** When what is followed is as new as etcd is now: one question for all instances of a turn. It never rejects. */
  #upToDate(): Promise<void> {
    if (this.#asking) return this.#asking;
    this.#asking = this.#follower.caughtUp().catch(() => {});
    void Promise.resolve().then(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  #followed(news: FollowNews): void {
    switch (news.type) {
      case "status":
        if (news.status === "live") this.#warnings.worked();
        break;
      case "warning":
        this.#warn(news.error);
        break;
      case "failed":
        this.#fail(news.error);
        break;
      case "changes":
        this.#beside.changed(news);
        this.#roster.changed(news);
        break;
      default:
        this.#beside.changed(news);
        this.#roster.listed(news, (key) => this.#follower.get(key));
        this.#listed.resolve();
    }
  }

  #watchLease(lease: Lease): void {
    const { ttlSeconds } = this.#options;
    if (lease.ttlSeconds > ttlSeconds) {
      this.#warn(new Error(`a ttl of ${ttlSeconds} s is too short for etcd, which granted ${lease.ttlSeconds} s`));
    }
    this.#unwatchLease();
    this.#unwatchLease = onAbort(lease.signal, () => {
      if (this.#ended.signal.aborted) return;
      const error = asError(lease.signal.reason);
      debug("%s: %s", this.prefix, error.message);
      for (const member of this.#roster.members) member.item.leaseLost(error);
    });
  }

  /**
   * One request for all: which keys are on the lease. Without a lease none is, and those that wait for another owner
   * look all the same.
   */
  async #lookAgain(): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      await sleep(this.#runtime.clock, LOOK_AGAIN_MS, signal).catch(() => {});
      if (signal.aborted) return;
      const lease = this.#leases.current;
      try {
        this.#roster.compare(new Set((await lease?.timeToLive({ signal }))?.keys));
      } catch (error) {
        if (!signal.aborted) debug("%s: %s", this.prefix, asError(error).message);
        if (lease && error instanceof LeaseNotFoundError) this.#leases.gone(lease, error);
      }
    }
  }

  #warn(error: Error): void {
    debug("%s: %s", this.prefix, error.message);
    this.#warnings.warn(error);
  }

  #fail(cause: unknown): void {
    if (this.#ended.signal.aborted) return;
    const error = asError(cause);
    this.#failure = error;
    this.#stop(error);
    this.#gone = this.#letGo(error);
    for (const member of this.#roster.members) member.fail(error, true);
    this.notify("failed", error);
  }

  async #letGo(error: Error): Promise<void> {
    // A client that is being closed revokes its leases itself, and waits for that; what it does not find it cannot
    // revoke.
    if (!(error instanceof ClientClosedError)) {
      await this.#leases
        .revokeAll({ timeoutMs: this.#limitMs })
        .catch((failure) => debug("%s: %s", this.prefix, asError(failure).message));
    }
    await this.#client.release();
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#gone) await this.#gone;
    else await this.#leave(drainMs);
    this.notify("closed");
  }

  async #leave(drainMs: number): Promise<void> {
    const { clock } = this.#runtime;
    const members = this.#roster.members;
    const wasListed = members.some(({ isListed }) => isListed);
    const staying = members.filter(({ isLeaving }) => !isLeaving);
    for (const member of staying) member.closeWith(this.#closed as Promise<void>);
    this.#writer.hurry();
    let limitMs = this.#limitMs;
    const drains = drainMs > 0 && staying.some(({ canDrain }) => canDrain);
    if (drains) {
      limitMs /= 2;
      await Promise.all(staying.map((member) => member.item.reach(member.canDrain ? "draining" : "gone", limitMs)));
      await sleep(clock, drainMs, this.#ended.signal).catch(() => {});
    }
    this.#stop(this.#closedError());
    await this.#leases.revokeAll({ timeoutMs: limitMs }).catch((error) => this.notify("warning", asError(error)));
    if (!drains && drainMs > 0 && wasListed) await sleep(clock, drainMs);
    await this.#client.release();
    for (const member of this.#roster.members) member.end();
  }

  #stop(error: Error): void {
    this.#ended.abort(error);
    this.#unwatchLease();
    this.#writer.stop(error);
    void this.#follower.close();
  }

  #closedError(): ClientClosedError {
    return new ClientClosedError(`the group of ${this.prefix} was closed`);
  }

  /** How long etcd may take when this ends. */
  get #limitMs(): number {
    return closeLimitMs(this.#options.ttlSeconds);
  }
}
