import { ClientClosedError, EtcdTimeoutError, type KeyValue, type Lease, type LeaseId } from "../../src/index.ts";
import { abortable, type Clock, type Deferred, quietDeferred, sleep, within } from "../../src/internal/index.ts";
import { Notifier } from "../common/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import {
  type CloseOptions,
  DesiredRegistration,
  type KeyState,
  nextStep,
  type RegisterStatus,
  RegistrationLife,
  resolveClose,
  resolveUpdate,
  resolveWait,
  type ServiceUpdate,
} from "../service-register/index.ts";
import type { BulkItem, BulkStep } from "./bulk-writer.ts";
import type { GroupMember, GroupMemberEvents } from "./group-member.ts";
import type { ResolvedMember } from "./options.ts";

/** What a member needs of its group. */
export interface MemberSurroundings {
  readonly clock: Clock;
  /** How long etcd may take when a member leaves. */
  readonly limitMs: number;
  /** Aborts when nothing is written any more, for no member. */
  readonly ended: AbortSignal;
  /** The lease as long as it lives. */
  lease(): Lease | undefined;
  isOwn(lease: LeaseId | undefined): boolean;
  /** Asks for the next step of a member. */
  enqueue(member: RegisteredMember): void;
  /** The member is over. `gone`: its key is known not to be there on a lease of the group. */
  left(member: RegisteredMember, gone: boolean): void;
  tell<Name extends keyof GroupMemberEvents & string>(
    member: RegisteredMember,
    name: Name,
    ...args: GroupMemberEvents[Name]
  ): void;
}

/**
 * `waiting`: the one before still leaves. `there`: in the list. `draining`: marked as such if it is in the list, never
 * brought back. `gone`: deleted. `over`: nothing any more.
 */
type Wanted = "waiting" | "there" | "draining" | "gone" | "over";

/** One instance: what should stand under its key, what is known to stand there, and the next step from one to the other. */
export class RegisteredMember extends Notifier<GroupMemberEvents> implements GroupMember, BulkItem {
  readonly id: string;
  readonly key: string;
  readonly #format: RegistrationFormat;
  readonly #around: MemberSurroundings;
  readonly #desired: DesiredRegistration;
  readonly #life: RegistrationLife;
  #wanted: Wanted = "waiting";
  /** What is known to be there, as of `#knownAt`; undefined: nothing, or nothing is known. */
  #known: KeyState | undefined;
  #knownAt = 0;
  /** `#knownAt` when the step was asked for. */
  #askedAt = 0;
  /** Whether something stale may still delete what stands there: then it is written anew, not taken as found. */
  #rewrites = false;
  /** Whether `#known` is what etcd said, with no write on its way since. */
  #sure = false;
  /** Whether to read the key before anything else. */
  #mustLook = false;
  #looking = false;
  /** Whether `#knownAt` may be of another history; what the mirror tells until a look has shown it waits in `#later`. */
  #doubtful = false;
  #later: { readonly kv: KeyValue | undefined; readonly revision: number } | undefined;
  #everPut = false;
  #sent: { readonly text: string; readonly lease: LeaseId; readonly version: number } | undefined;
  /** Whoever waits for `draining` or `gone` to be reached. */
  #reached: Deferred<void> | undefined;
  #closed: Promise<void> | undefined;
  #left: Deferred<void> | undefined;
  /** Settles when the key is free; undefined if it was so from the start. */
  #free: Promise<void> | undefined;

  constructor(resolved: ResolvedMember, around: MemberSurroundings) {
    super();
    const { id, key, format, registration, onConflict } = resolved;
    this.id = id;
    this.key = key;
    this.#format = format;
    this.#around = around;
    this.#desired = new DesiredRegistration(format, registration);
    this.#life = new RegistrationLife({
      key,
      onConflict,
      desired: this.#desired,
      tell: (name, ...args) => {
        this.notify(name, ...args);
        around.tell(this, name, ...args);
      },
    });
  }

  get ready(): Promise<void> {
    return this.#life.ready;
  }

  get status(): RegisterStatus {
    return this.#life.status;
  }

  get lastError(): Error | undefined {
    return this.#life.lastError;
  }

  /** Whether it begins or has begun to leave, or has failed. */
  get isLeaving(): boolean {
    return this.#closed !== undefined || this.#wanted === "over";
  }

  /** Whether it can be told that it drains. */
  get canDrain(): boolean {
    return this.#life.isListed && this.#format !== "plain";
  }

  get isListed(): boolean {
    return this.#life.isListed;
  }

  /** Resolves when it is over. */
  get whenLeft(): Promise<void> {
    if (this.#wanted === "over") return Promise.resolve();
    this.#left ??= quietDeferred<void>();
    return this.#left.promise;
  }

  /** @param before until whoever had the key before has left */
  startAfter(before: Promise<void> | undefined): void {
    this.#free = before?.then(() => this.#start());
    if (!before) this.#start();
  }

  /** Whoever had the key before could not delete it, or its delete may still land. */
  takesOver(): void {
    this.#everPut = true;
    this.#rewrites = true;
  }

  update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const updated = this.#update(update, options);
    // One that nobody awaits ends no process when this is closed.
    updated.catch(() => {});
    return updated;
  }

  async #update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined }): Promise<void> {
    const { signal } = resolveWait("GroupMember", options);
    const resolved = resolveUpdate("GroupMember", this.#format, update);
    signal?.throwIfAborted();
    if (this.#closed) throw closedError(this.key);
    if (this.#wanted === "over") throw this.#life.lastError ?? closedError(this.key);
    this.#desired.update(resolved);
    const written = this.#desired.whenWritten();
    this.#advance(undefined);
    await abortable(written, signal);
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("GroupMember", options);
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The group is being closed, and `closing` is all that there is to wait for. */
  closeWith(closing: Promise<void>): void {
    this.#closed ??= closing;
    this.#life.giveUp(() => closedError(this.key));
  }

  /** It is over, without a word to etcd: the group does that for all. */
  end(): void {
    this.#end(true);
    this.#life.closed();
  }

  fail(error: Error, gone: boolean): void {
    if (this.#wanted === "over") return;
    this.#life.giveUp(() => error);
    this.#end(gone);
    this.#life.fail(error);
  }

  /** What the group's mirror says. `resynced`: of a history that may be another one. */
  seen(kv: KeyValue | undefined, revision: number, resynced: boolean): void {
    if (this.#wanted === "waiting" || this.#wanted === "over") return;
    if (this.#doubtful) {
      this.#later = { kv, revision };
      return;
    }
    if (this.#sure && kv?.modRevision === this.#known?.modRevision) return;
    if (revision < this.#knownAt) {
      // The mirror has not come to our own write yet, or etcd was wiped: then a look tells.
      if (!resynced) return;
      this.#doubtful = true;
      this.look();
      return;
    }
    this.#learn(kv, revision);
    if (!kv && this.#wanted === "there") this.#life.vanished();
    this.#advance(kv);
  }

  /** Something makes the group doubt that the key is as it is known. */
  look(): void {
    this.#mustLook = true;
    this.#around.enqueue(this);
  }

  leaseLost(error: Error): void {
    if (this.#wanted === "waiting" || this.#wanted === "over") return;
    this.#sure = false;
    if (this.#known && !this.#around.isOwn(this.#known.lease)) return;
    this.#known = undefined;
    this.#knownAt = 0;
    if (this.#wanted === "there") this.#life.lost(error);
    this.#around.enqueue(this);
  }

  /** @internal */
  get needsLease(): boolean {
    return this.#wanted === "there" && !this.#mustLook;
  }

  /** @internal */
  next(lease: LeaseId | undefined): BulkStep | undefined {
    const step = this.#next(lease);
    // What was put before, and refused with its lease, is not on its way any more.
    if (step && step.type !== "put") this.#sent = undefined;
    return step;
  }

  #next(lease: LeaseId | undefined): BulkStep | undefined {
    if (this.#wanted === "waiting" || this.#wanted === "over") return undefined;
    this.#askedAt = this.#knownAt;
    this.#looking = this.#mustLook;
    if (this.#mustLook) return { type: "look" };
    if (this.#wanted === "there") return this.#nextPut(lease);
    if (!this.#sure) return { type: "look" };
    const known = this.#ownState;
    if (known && this.#wanted === "gone") return { type: "delete", over: known.modRevision };
    if (known && lease !== undefined && !this.#isDrained(known)) return this.#put(known, lease);
    this.#reached?.resolve();
    return undefined;
  }

  /** @internal */
  done(revision: number): void {
    const sent = this.#sent;
    this.#sent = undefined;
    if (this.#isOutdated(revision)) {
      if (sent && this.#wanted === "there" && this.#life.mayTake) {
        this.#life.wasWritten();
        this.look();
      }
      return;
    }
    if (sent) this.#rewrites = false;
    const made = this.#known === undefined;
    this.#learn(sent ? { modRevision: revision, lease: sent.lease, text: sent.text } : undefined, revision);
    if (sent && this.#wanted === "there") {
      if (this.#around.lease()?.id !== sent.lease) {
        // A lease that was lost meanwhile is being revoked, and takes the key with it.
        this.#sure = false;
      } else {
        // Gone and put back before the mirror could tell.
        if (made) this.#life.vanished();
        this.#life.placed(revision, sent.version);
      }
    }
    this.#advance(undefined);
  }

  /** @internal */
  found(kv: KeyValue | undefined, revision: number): void {
    this.#sent = undefined;
    const later = this.#looking ? this.#looked() : undefined;
    if (this.#isOutdated(revision)) return;
    this.#learn(kv, revision);
    if (!kv && this.#wanted === "there") this.#life.vanished();
    this.#advance(kv);
    if (later && later.revision > revision) this.seen(later.kv, later.revision, false);
  }

  /** A look was answered: of the history that etcd has now. @returns what the mirror told meanwhile */
  #looked() {
    const later = this.#later;
    if (this.#doubtful) this.#knownAt = 0;
    this.#doubtful = false;
    this.#later = undefined;
    this.#mustLook = false;
    return later;
  }

  /** @internal */
  failed(error: Error): void {
    this.#sent = undefined;
    this.#sure = false;
    if (this.#wanted === "there") this.#life.stumbled(error);
  }

  /** @internal */
  refused(error: Error): void {
    this.#sent = undefined;
    if (this.#wanted === "there") {
      this.fail(error, false);
      return;
    }
    this.#reached?.reject(error);
  }

  #start(): void {
    if (this.#wanted !== "waiting" || this.#closed) return;
    this.#wanted = "there";
    this.#around.enqueue(this);
  }

  get #ownState(): KeyState | undefined {
    return this.#known && this.#around.isOwn(this.#known.lease) ? this.#known : undefined;
  }

  /** What stands on an earlier lease goes with it. */
  #isDrained({ text, lease }: KeyState): boolean {
    return text === this.#desired.text || lease !== this.#around.lease()?.id;
  }

  /** The mirror overtook this answer, and told of something newer: that counts. */
  #isOutdated(revision: number): boolean {
    // An answer below what was known when it was asked for is of another history.
    if (revision < this.#askedAt) this.#knownAt = 0;
    if (revision >= this.#knownAt) return false;
    this.#advance(undefined);
    return true;
  }

  #learn(state: KeyState | undefined, revision: number): void {
    this.#known = state;
    this.#knownAt = revision;
    this.#sure = true;
  }

  #nextPut(lease: LeaseId | undefined): BulkStep | undefined {
    if (lease === undefined) return undefined;
    const step = this.#step(lease);
    if (step.type === "found" && !this.#sure) return { type: "look" };
    return step.type === "put" ? this.#put(step.over, lease) : undefined;
  }

  #put(over: KeyState | undefined, lease: LeaseId): BulkStep {
    const { text, version } = this.#desired;
    this.#everPut = true;
    this.#sent = { text, lease, version };
    return { type: "put", over: over?.modRevision ?? 0, text, lease };
  }

  #step(lease: LeaseId | undefined) {
    const step = nextStep(this.#known, {
      text: this.#desired.text,
      lease,
      isOwn: (state) => this.#around.isOwn(state.lease),
      mayTake: () => this.#life.mayTake,
    });
    return this.#rewrites && step.type === "found" ? ({ type: "put", over: this.#known } as const) : step;
  }

  /** @param seen the key as etcd has just told it, if it has */
  #advance(seen: KeyValue | undefined): void {
    if (this.#wanted === "waiting" || this.#wanted === "over") return;
    if (this.#wanted !== "there") {
      this.#advanceOut();
      return;
    }
    const step = this.#step(this.#around.lease()?.id);
    if (step.type === "put" || (step.type === "found" && !this.#sure)) this.#around.enqueue(this);
    else if (step.type === "found") this.#life.placed(step.revision, this.#desired.version);
    else if (step.type === "taken" && seen) this.#taken(seen);
  }

  #advanceOut(): void {
    const known = this.#ownState;
    const due = known !== undefined && (this.#wanted === "gone" || !this.#isDrained(known));
    if (!this.#sure || this.#sent || due) this.#around.enqueue(this);
    else this.#reached?.resolve();
  }

  #taken(by: KeyValue): void {
    const end = this.#life.conflict(by);
    if (end) this.fail(end, true);
  }

  async #close(drainMs: number): Promise<void> {
    const { clock, limitMs, ended } = this.#around;
    if (this.#wanted !== "over") {
      const { isListed, canDrain } = this;
      this.#life.giveUp(() => closedError(this.key));
      // Who comes next must not begin before whoever was before this one has left.
      if (this.#wanted === "waiting" && this.#free) await abortable(this.#free, ended).catch(() => {});
      let gone: boolean;
      if (drainMs > 0 && canDrain) {
        await this.reach("draining", limitMs / 2);
        await sleep(clock, drainMs, ended).catch(() => {});
        gone = await this.reach("gone", limitMs / 2);
      } else {
        gone = await this.reach("gone", limitMs);
        if (drainMs > 0 && isListed) await sleep(clock, drainMs, ended).catch(() => {});
      }
      this.#end(gone);
    }
    this.#life.closed();
  }

  /** Resolves when it is as wanted, or after `withinMs`; what went wrong is a warning. @returns whether it is as wanted */
  async reach(wanted: "draining" | "gone", withinMs: number): Promise<boolean> {
    const { clock, ended } = this.#around;
    if (this.#wanted === "over") return true;
    this.#wanted = wanted;
    if (wanted === "draining") this.#desired.update({ draining: true });
    // Nothing was ever written: nothing can be there.
    if (!this.#everPut) return true;
    const reached = quietDeferred<void>();
    this.#reached = reached;
    this.#advance(undefined);
    const outOfTime = () =>
      new EtcdTimeoutError(`${this.key}: etcd did not answer within ${withinMs} ms while closing`);
    try {
      await within(clock, abortable(reached.promise, ended), withinMs, outOfTime);
      return true;
    } catch (error) {
      if (!ended.aborted) this.notify("warning", error as Error);
      return false;
    } finally {
      this.#reached = undefined;
    }
  }

  #end(gone: boolean): void {
    if (this.#wanted === "over") return;
    this.#wanted = "over";
    this.#life.giveUp(() => closedError(this.key));
    this.#around.left(this, gone || !this.#everPut);
    this.#left?.resolve();
  }
}

function closedError(key: string): ClientClosedError {
  return new ClientClosedError(`the registration of ${key} was closed`);
}
