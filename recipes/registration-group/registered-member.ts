import { ClientClosedError } from "../../src/index.ts";
import { abortable, type Deferred, quietDeferred, showAs, sleep } from "../../src/internal/index.ts";
import { Notifier } from "../recipe/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import type { CloseOptions, RegisterStatus, ServiceUpdate } from "../service-register/index.ts";
import {
  DesiredRegistration,
  RegistrationLife,
  resolveClose,
  resolveUpdate,
  resolveWait,
} from "../service-register/internal.ts";
import type { GroupMember, GroupMemberEvents } from "./group-member.ts";
import { type KeyOwner, type KeySurroundings, MemberKey } from "./member-key.ts";
import type { ResolvedMember } from "./options.ts";

/** What a member needs of its group. */
export interface MemberSurroundings extends KeySurroundings {
  /** How long etcd may take when a member leaves. */
  readonly limitMs: number;
  /** The member is over. `gone`: its key is known not to be there on a lease of the group. */
  left(member: RegisteredMember, gone: boolean): void;
  tell<Name extends keyof GroupMemberEvents & string>(
    member: RegisteredMember,
    name: Name,
    ...args: GroupMemberEvents[Name]
  ): void;
}

/** One instance as its user has it: its events, its updates, and how it leaves. Its key is brought there by `item`. */
export class RegisteredMember extends Notifier<GroupMemberEvents> implements GroupMember, KeyOwner {
  static {
    showAs(RegisteredMember, "GroupMember", (it) => ({ id: it.id, key: it.key, status: it.status }));
  }

  readonly id: string;
  readonly key: string;
  /** @internal */
  readonly item: MemberKey;
  readonly #format: RegistrationFormat;
  readonly #around: MemberSurroundings;
  readonly #desired: DesiredRegistration;
  readonly #life: RegistrationLife;
  #closed: Promise<void> | undefined;
  #left: Deferred<void> | undefined;
  /** Settles when the key is free; undefined if it was so from the start. */
  #free: Promise<void> | undefined;

  constructor(resolved: ResolvedMember, around: MemberSurroundings) {
    super(around.clock);
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
      tell: (name, ...args) => this.#tell(name, ...args),
    });
    this.item = new MemberKey({ key, desired: this.#desired, life: this.#life, owner: this, around });
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
    return this.#closed !== undefined || this.item.isOver;
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
    if (this.item.isOver) return Promise.resolve();
    this.#left ??= quietDeferred<void>();
    return this.#left.promise;
  }

  /** @param before until whoever had the key before has left */
  startAfter(before: Promise<void> | undefined): void {
    this.#free = before?.then(() => {
      if (!this.#closed) this.item.start();
    });
    if (!before) this.item.start();
  }

  update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const updated = this.#update(update, options);
    // One that is not awaited ends no process when this is closed.
    updated.catch(() => {});
    return updated;
  }

  async #update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined }): Promise<void> {
    const { signal } = resolveWait("GroupMember", options);
    const resolved = resolveUpdate("GroupMember", this.#format, update);
    signal?.throwIfAborted();
    if (this.#closed) throw closedError(this.key);
    if (this.item.isOver) throw this.#life.lastError ?? closedError(this.key);
    this.#desired.update(resolved);
    const written = this.#desired.whenWritten();
    this.item.changed();
    await abortable(written, signal);
  }

  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("GroupMember.close", options);
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
    if (this.item.isOver) return;
    this.#life.giveUp(() => error);
    this.#end(gone);
    this.#life.fail(error);
  }

  /** @internal */
  warn(error: Error): void {
    this.#tell("warning", error);
  }

  #tell<Name extends keyof GroupMemberEvents & string>(name: Name, ...args: GroupMemberEvents[Name]): void {
    // A warning that nothing listens for here is one of the group.
    if (name !== "warning" || this.listenerCount("warning") > 0) this.notify(name, ...args);
    this.#around.tell(this, name, ...args);
  }

  async #close(drainMs: number): Promise<void> {
    const { clock, limitMs, ended } = this.#around;
    if (!this.item.isOver) {
      const { isListed, canDrain } = this;
      this.#life.giveUp(() => closedError(this.key));
      // Who comes next must not begin before whoever was before this one has left.
      if (this.item.isWaiting && this.#free) await abortable(this.#free, ended).catch(() => {});
      let gone: boolean;
      if (drainMs > 0 && canDrain) {
        await this.item.reach("draining", limitMs / 2);
        await sleep(clock, drainMs, ended).catch(() => {});
        gone = await this.item.reach("gone", limitMs / 2);
      } else {
        gone = await this.item.reach("gone", limitMs);
        if (drainMs > 0 && isListed) await sleep(clock, drainMs, ended).catch(() => {});
      }
      this.#end(gone);
    }
    this.#life.closed();
  }

  #end(gone: boolean): void {
    if (this.item.isOver) return;
    this.item.end();
    this.#life.giveUp(() => closedError(this.key));
    this.#around.left(this, gone || !this.item.mayStand);
    this.#left?.resolve();
  }
}

function closedError(key: string): ClientClosedError {
  return new ClientClosedError(`the registration of ${key} was closed`);
}
