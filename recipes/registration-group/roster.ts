import type { KeyValue, MirrorBatch } from "../../src/index.ts";
import { type KeySurroundings, LeftoverKey } from "../registration/internal.ts";
import type { RegisteredMember } from "./registered-member.ts";

/**
 * Whose each key of a group is: that of its newest member until that has left, then no member's: a key that stands
 * there on a lease of the group is deleted. What etcd reports of a key goes to its owner.
 */
export class Roster {
  readonly #around: Pick<KeySurroundings, "isOwn" | "enqueue">;
  /** The newest of each key, until it has left. */
  readonly #members = new Map<string, RegisteredMember>();
  readonly #leftovers = new Map<string, LeftoverKey>();

  constructor(around: Pick<KeySurroundings, "isOwn" | "enqueue">) {
    this.#around = around;
  }

  /** All in the order of their registration: as it is now, whatever they do when called. */
  get members(): readonly RegisteredMember[] {
    return [...this.#members.values()];
  }

  get(key: string): RegisteredMember | undefined {
    return this.#members.get(key);
  }

  /**
   * Starts a new member, once an owner of its key that is leaving has left.
   *
   * @param conflict resolves when it may start, or with what it fails with instead
   */
  add(member: RegisteredMember, conflict?: Promise<Error | undefined>): void {
    const { key } = member;
    const before = this.#members.get(key);
    const leftover = this.#leftovers.get(key);
    if (leftover) member.item.takesOver();
    leftover?.cancel();
    // Anew, so that the order is that of registration.
    this.#members.delete(key);
    this.#members.set(key, member);
    member.startAfter(before?.whenLeft, conflict);
  }

  /** `gone`: its key is known not to be there on a lease of the group. */
  left(member: RegisteredMember, gone: boolean): void {
    const owner = this.#members.get(member.key);
    if (owner !== member) {
      if (!gone) owner?.item.takesOver();
      return;
    }
    this.#members.delete(member.key);
    if (!gone) this.#addLeftover(member.key);
  }

  changed({ puts, deletes, revision }: MirrorBatch): void {
    // A batch can have several revisions: of a key that was deleted and made again only the end counts.
    const there = deletes.length > 0 ? new Set(puts.map(({ key }) => key)) : undefined;
    for (const { key } of deletes) {
      if (!there?.has(key)) this.#members.get(key)?.item.seen(undefined, revision, false);
    }
    for (const kv of puts) {
      const member = this.#members.get(kv.key);
      if (member) member.item.seen(kv, revision, false);
      else if (this.#around.isOwn(kv.lease)) this.#addLeftover(kv.key);
    }
  }

  /** A whole list, maybe of another history: everybody compares. */
  listed({ type, puts, revision }: MirrorBatch, now: (key: string) => KeyValue | undefined): void {
    const resynced = type === "resynced";
    for (const member of this.members) member.item.seen(now(member.key), revision, resynced);
    for (const { key, lease } of puts) {
      if (this.#around.isOwn(lease) && !this.#members.has(key)) this.#addLeftover(key);
    }
  }

  /**
   * What is missing on the lease, or is too much, is looked at, and what another owner had when it was last heard of.
   */
  compare(onLease: ReadonlySet<string>): void {
    for (const member of this.#members.values()) {
      const { status, key } = member;
      if (status === "passive" || (status === "registered" && !onLease.has(key))) member.item.look();
    }
    for (const key of onLease) if (!this.#members.has(key)) this.#addLeftover(key);
  }

  #addLeftover(key: string): void {
    const known = this.#leftovers.get(key);
    known?.seen();
    const leftover = known ?? new LeftoverKey(key, this.#around.isOwn, () => this.#leftovers.delete(key));
    this.#leftovers.set(key, leftover);
    this.#around.enqueue(leftover);
  }
}
