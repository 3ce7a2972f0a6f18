import type { KeyValue, MirrorBatch } from "../../src/index.ts";
import { decodeTracking } from "./buckets.ts";
import { staysBelow } from "./stays-below.ts";

/** What is known of a key that is there. */
export interface Tracked {
  readonly modRevision: number;
  /** Undefined: its value says nothing that we understand, so it is never swept. */
  readonly expiresAt: number | undefined;
  /** Above 0: as an answer of etcd at this revision said, which the mirror has not come to yet. */
  readonly asOf: number;
}

/** What an answer said is gone, as of which revision. */
interface Gone {
  readonly asOf: number;
  /** As it was known before that, if it was and no list was read since. */
  last: Tracked | undefined;
}

/**
 * The keys as this process knows them, and which of them end when: what the mirror said, and on top of it what etcd answered
 * to this process and the mirror has not come to yet.
 */
export class TrackedKeys {
  readonly #prefix: string;
  readonly #tracked = new Map<string, Tracked>();
  readonly #byEnd = new Map<number, Set<string>>();
  /** The ids of those that have an `asOf`. */
  readonly #answered = new Set<string>();
  /** By id: the mirror may have to come to their puts yet. */
  readonly #gone = new Map<string, Gone>();
  /** What the mirror has come to. */
  #revision = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get size(): number {
    return this.#tracked.size;
  }

  get(id: string): Tracked | undefined {
    return this.#tracked.get(id);
  }

  /** Those that end at `atMs` or before. */
  endedBy(atMs: number): string[] {
    const ended: string[] = [];
    for (const [end, ids] of this.#byEnd) if (end <= atMs) for (const id of ids) ended.push(id);
    return ended;
  }

  /** What etcd answered at a revision. */
  learn(id: string, state: Omit<Tracked, "asOf"> | undefined, asOf: number): void {
    // What the mirror said is newer, or what another answer said.
    if (asOf <= this.#revision || asOf < this.#asOf(id)) return;
    if (state) {
      this.#set(id, { ...state, asOf });
      return;
    }
    const last = this.#tracked.get(id) ?? this.#gone.get(id)?.last;
    this.#delete(id);
    this.#gone.set(id, { asOf, last });
  }

  /**
   * @param historyLost whether revisions before this batch say nothing any more
   * @returns what went and is not there again, each id with the time at which it would have ended, as far as that is known
   */
  apply(
    batch: MirrorBatch,
    historyLost: boolean,
    now: (id: string) => KeyValue | undefined,
  ): Map<string, number | undefined> {
    const went = new Map<string, number | undefined>();
    this.#revision = batch.revision;
    for (const kv of batch.deletes) if (this.isOfId(kv)) went.set(this.idOf(kv), stateOf(kv).expiresAt);
    if (batch.type === "changes") this.#addPassed(went);
    else this.#addUnseen(went, now);
    for (const [id, { asOf }] of this.#gone) if (historyLost || asOf <= batch.revision) this.#gone.delete(id);
    if (historyLost) for (const id of [...this.#answered]) this.#say(id, now(id));
    for (const kv of batch.deletes) this.#show(this.idOf(kv), undefined);
    for (const kv of batch.puts) if (this.isOfId(kv)) this.#show(this.idOf(kv), kv);
    for (const id of [...this.#answered]) this.#show(id, batch.type === "changes" ? undefined : now(id));
    for (const id of went.keys()) if (this.#tracked.has(id)) went.delete(id);
    return went;
  }

  /**
   * The prefix itself is the key of no id; nor is what is not UTF-8: another key can read the same. Nor what leads out of a
   * folder when it is taken for a path there: whoever cleans up an id removes files.
   */
  isOfId(kv: KeyValue): boolean {
    const id = this.idOf(kv);
    return id !== "" && !kv.key.includes("\ufffd") && staysBelow(id);
  }

  idOf(kv: KeyValue): string {
    return kv.key.slice(this.#prefix.length);
  }

  /** What came and went within the batch does not show in it: that is known by answers alone. */
  #addPassed(went: Map<string, number | undefined>): void {
    for (const id of this.#answered) {
      if (!went.has(id) && !this.#isAhead(id)) went.set(id, this.#tracked.get(id)?.expiresAt);
    }
    for (const [id, { last, asOf }] of this.#gone) {
      if (last && asOf <= this.#revision && !went.has(id)) went.set(id, last.expiresAt);
    }
  }

  /** A list does not tell of what came and went before it: that is known by answers alone. */
  #addUnseen(went: Map<string, number | undefined>, now: (id: string) => KeyValue | undefined): void {
    for (const id of this.#answered) if (!went.has(id)) went.set(id, this.#tracked.get(id)?.expiresAt);
    for (const [id, gone] of this.#gone) {
      if (gone.last && !now(id) && !went.has(id)) went.set(id, gone.last.expiresAt);
      // From here on the mirror tells.
      gone.last = undefined;
    }
  }

  /** What the mirror says, unless an answer is newer. */
  #show(id: string, kv: KeyValue | undefined): void {
    if (!this.#isAhead(id)) this.#say(id, kv);
  }

  #say(id: string, kv: KeyValue | undefined): void {
    if (kv) this.#set(id, { ...stateOf(kv), asOf: 0 });
    else this.#delete(id);
  }

  #isAhead(id: string): boolean {
    return this.#asOf(id) > this.#revision;
  }

  #asOf(id: string): number {
    return this.#tracked.get(id)?.asOf ?? this.#gone.get(id)?.asOf ?? 0;
  }

  #set(id: string, tracked: Tracked): void {
    const before = this.#tracked.get(id);
    this.#tracked.set(id, tracked);
    this.#gone.delete(id);
    if (tracked.asOf > 0) this.#answered.add(id);
    else this.#answered.delete(id);
    if (before?.expiresAt === tracked.expiresAt) return;
    this.#unlist(id, before);
    if (tracked.expiresAt === undefined) return;
    const listed = this.#byEnd.get(tracked.expiresAt);
    if (listed) listed.add(id);
    else this.#byEnd.set(tracked.expiresAt, new Set([id]));
  }

  #delete(id: string): void {
    this.#unlist(id, this.#tracked.get(id));
    this.#tracked.delete(id);
    this.#answered.delete(id);
  }

  #unlist(id: string, tracked: Tracked | undefined): void {
    if (tracked?.expiresAt === undefined) return;
    const listed = this.#byEnd.get(tracked.expiresAt);
    listed?.delete(id);
    if (listed?.size === 0) this.#byEnd.delete(tracked.expiresAt);
  }
}

export function stateOf(kv: KeyValue): Omit<Tracked, "asOf"> {
  return { modRevision: kv.modRevision, expiresAt: decodeTracking(kv.text)?.expiresAt };
}
