import { abortable, type Deferred, quietDeferred, showAs } from "../../src/internal/index.ts";
import { Notifier } from "../recipe/index.ts";
import type { CloseOptions, RegisterStatus, ServiceUpdate } from "../registration/index.ts";
import { type KeyKeeper, type KeySurroundings, RegisteredKey, resolveClose } from "../registration/internal.ts";
import type { GroupMember, GroupMemberEvents } from "./group-member.ts";
import type { ResolvedMember } from "./options.ts";

/** What a member needs of its group. */
export interface MemberSurroundings extends KeySurroundings {
  /** How long etcd may take when a member leaves. */
  readonly limitMs: number;
  /** Ends the pause after the last failure. */
  hurry(): void;
  /** The member is over. `gone`: its key is known not to be there on a lease of the group. */
  left(member: RegisteredMember, gone: boolean): void;
  emit<Name extends keyof GroupMemberEvents & string>(
    member: RegisteredMember,
    name: Name,
    ...args: GroupMemberEvents[Name]
  ): void;
}

/** One instance as its user has it: its events, its updates, and how it leaves. Its key is brought there by `item`. */
export class RegisteredMember extends Notifier<GroupMemberEvents> implements GroupMember {
  static {
    showAs(RegisteredMember, "GroupMember", (it) => ({ id: it.id, key: it.key, status: it.status }));
  }

  readonly id: string;
  readonly key: string;
  /** @internal */
  readonly item: KeyKeeper;
  readonly #kept: RegisteredKey;
  readonly #around: MemberSurroundings;
  #closed: Promise<void> | undefined;
  #left: Deferred<void> | undefined;
  /** Settles when the key is free; undefined if it was so from the start. */
  #free: Promise<void> | undefined;

  constructor(resolved: ResolvedMember, around: MemberSurroundings) {
    super(around.clock);
    const { id, key } = resolved;
    this.id = id;
    this.key = key;
    this.#around = around;
    this.#kept = new RegisteredKey({
      what: "GroupMember",
      key,
      resolved,
      around,
      owner: { fail: (error, gone) => this.fail(error, gone), emit: (name, ...args) => this.#emit(name, ...args) },
    });
    this.item = this.#kept.keeper;
  }

  get ready(): Promise<void> {
    return this.#kept.life.ready;
  }

  get status(): RegisterStatus {
    return this.#kept.life.status;
  }

  get draining(): boolean {
    return this.#kept.draining;
  }

  get lastError(): Error | undefined {
    return this.#kept.life.lastError;
  }

  /** Whether it begins or has begun to leave, or has failed. */
  get isLeaving(): boolean {
    return this.#closed !== undefined || this.item.isOver;
  }

  /** Whether it can be marked as draining. */
  get canDrain(): boolean {
    return this.#kept.canDrain;
  }

  get isListed(): boolean {
    return this.#kept.life.isListed;
  }

  /** Resolves when it is over. */
  get whenLeft(): Promise<void> {
    if (this.item.isOver) return Promise.resolve();
    this.#left ??= quietDeferred<void>();
    return this.#left.promise;
  }

  /**
   * @param before until the owner of the key before it has left
   * @param conflict resolves when it may start, or with what it fails with instead
   */
  startAfter(before: Promise<void> | undefined, conflict?: Promise<Error | undefined>): void {
    this.#free = before;
    if (before || conflict) void this.#startAfter(before, conflict);
    else this.item.start();
  }

  update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#kept.update(update, options);
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
    this.#kept.giveUp(() => this.#kept.closedError());
  }

  /** It is over, without a word to etcd: the group does that for all. */
  end(): void {
    this.#end(true);
    this.#kept.life.closed();
  }

  fail(error: Error, gone: boolean): void {
    if (this.item.isOver) return;
    this.#kept.giveUp(() => error);
    this.#end(gone);
    this.#kept.life.fail(error);
  }

  #emit<Name extends keyof GroupMemberEvents & string>(name: Name, ...args: GroupMemberEvents[Name]): void {
    // A warning that nothing listens for here is one of the group.
    if (name !== "warning" || this.listenerCount("warning") > 0) this.notify(name, ...args);
    this.#around.emit(this, name, ...args);
  }

  async #startAfter(
    before: Promise<void> | undefined,
    conflict: Promise<Error | undefined> | undefined,
  ): Promise<void> {
    await before;
    const error = await conflict;
    if (this.isLeaving) return;
    if (error) this.fail(error, false);
    else this.item.start();
  }

  async #close(drainMs: number): Promise<void> {
    const { limitMs, ended } = this.#around;
    if (!this.item.isOver) {
      this.#kept.giveUp(() => this.#kept.closedError());
      // The next owner must not begin before the one before this has left.
      if (this.item.isWaiting && this.#free) await abortable(this.#free, ended).catch(() => {});
      this.#around.hurry();
      let gone = false;
      const end = async (withinMs: number) => {
        gone = await this.item.reach("gone", withinMs);
      };
      await this.#kept.leave({ drainMs, limitMs, signal: ended, end });
      this.#end(gone);
    }
    this.#kept.life.closed();
  }

  #end(gone: boolean): void {
    if (this.item.isOver) return;
    this.item.end();
    this.#kept.giveUp(() => this.#kept.closedError());
    this.#around.left(this, gone || !this.item.mayStand);
    this.#left?.resolve();
  }
}
