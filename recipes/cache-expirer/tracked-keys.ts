import type { KeyValue, LeaseId, MirrorBatch } from "../../src/index.ts";
import { decodeTracking, type KeyEnd } from "./buckets.ts";
import { staysBelow } from "./stays-below.ts";

/** What is known of a key that is there. */
export interface Tracked {
  readonly modRevision: number;
  /** Undefined: its value says nothing that we understand, so it is never swept. */
  readonly expiresAt: number | undefined;
  /** See `Tracking`. */
  readonly ttlSeconds?: number | undefined;
  readonly lease?: LeaseId | undefined;
}

/** What an answer of etcd said and the mirror has not come to. */
interface Answer {
  /** Undefined: there is no key. */
  readonly state: Tracked | undefined;
  /** From this revision on the mirror knows better. */
  readonly asOf: number;
  /** The newest state that an answer showed, until the mirror has come to it. */
  unseen: Tracked | undefined;
  /** When `forgetOverdue()` met it first. */
  metMs?: number | undefined;
}

interface Contradicted {
  readonly end: KeyEnd;
  metMs?: number | undefined;
}

/** A mirror that is live comes to what etcd answered within this time, if it ever does. */
const OVERDUE_MS = 30_000;

/**
 * The keys as this process knows them, and which of them end when: what the mirror shows, and on top of it what etcd
 * answered to this process and the mirror has not come to.
 *
 * Both are ordered by the revisions of what they show, never by the revision in an answer's header: the header says
 * how far etcd was when it answered, and a key that it found may be much older, so the mirror may have shown it long
 * before.
 */
export class TrackedKeys {
  readonly #prefix: string;
  /** As the mirror has it at `#revision`. */
  readonly #shown = new Map<string, Tracked>();
  readonly #answers = new Map<string, Answer>();
  /** What stands in etcd, and the mirror should have shown: see `stands()`. */
  readonly #contradicted = new Map<string, Contradicted>();
  readonly #byEnd = new Map<number, Set<string>>();
  #revision = 0;
  #size = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get size(): number {
    return this.#size;
  }

  get(id: string): Tracked | undefined {
    const answer = this.#answers.get(id);
    return answer ? answer.state : this.#shown.get(id);
  }

  /** Whether an answer of etcd said that the key is there, at a revision that the mirror has not come to. */
  isAnswered(id: string): boolean {
    return this.#answers.get(id)?.state !== undefined;
  }

  /** Those that end at `atMs` or before. */
  endedBy(atMs: number): string[] {
    const ended: string[] = [];
    for (const [end, ids] of this.#byEnd) if (end <= atMs) for (const id of ids) ended.push(id);
    return ended;
  }

  /**
   * Etcd answered that the key was there, in this state since its modRevision.
   *
   * @returns false when the mirror is past that and shows no key: it went, and maybe no step of the mirror shows it
   */
  found(id: string, state: Tracked): boolean {
    if (state.modRevision <= this.#revision) return this.#shown.has(id) || this.isAnswered(id);
    const known = this.#answers.get(id);
    if (!known || known.asOf < state.modRevision) {
      this.#change(id, () => this.#answers.set(id, { state, asOf: state.modRevision, unseen: state }));
    } else if ((known.unseen?.modRevision ?? 0) < state.modRevision) known.unseen = state;
    return true;
  }

  /**
   * Etcd was asked for a key that had gone as far as was known, and has it. If the mirror is past that, etcd lost its
   * history and the mirror has not noticed: its next list says what became of the key in the meantime.
   */
  stands(id: string, state: Tracked): void {
    if (!this.found(id, state)) this.#contradicted.set(id, { end: endOf(state) });
  }

  /** Etcd answered that there was no key at this revision. */
  missing(id: string, revision: number): void {
    const known = this.#answers.get(id);
    if (revision <= this.#revision || (known && revision <= known.asOf)) return;
    this.#change(id, () => this.#answers.set(id, { state: undefined, asOf: revision, unseen: known?.unseen }));
  }

  /**
   * Etcd was asked for the key, which is not in this state, and the mirror may never say so: see `forgetOverdue()`.
   *
   * @returns whether nothing is known of the key any more
   */
  refuted(id: string, state: Tracked): boolean {
    if (this.#answers.get(id)?.state !== state) return false;
    this.#change(id, () => this.#answers.delete(id));
    return this.get(id) === undefined;
  }

  /**
   * Forgets the answers that the mirror has not come to for long. An answer of a history that is lost, which came when
   * the mirror was past that or had not begun, has a revision that the new history comes to much later or never.
   *
   * @param nowMs by whatever clock, the same one each time
   * @returns what was there by such an answer, and is not by the mirror: each id with the end that it would have
   *   had
   */
  forgetOverdue(nowMs: number): Map<string, KeyEnd> {
    const gone = new Map<string, KeyEnd>();
    for (const [id, answer] of this.#answers) {
      answer.metMs ??= nowMs;
      if (nowMs - answer.metMs < OVERDUE_MS) continue;
      const last = answer.state ?? answer.unseen;
      this.#change(id, () => this.#answers.delete(id));
      if (last && !this.get(id)) gone.set(id, endOf(last));
    }
    for (const [id, contradicted] of this.#contradicted) {
      contradicted.metMs ??= nowMs;
      if (nowMs - contradicted.metMs < OVERDUE_MS) continue;
      this.#contradicted.delete(id);
      if (!this.get(id)) gone.set(id, contradicted.end);
    }
    return gone;
  }

  /**
   * @param historyLost whether revisions before this batch say nothing any more
   * @returns what went and is not there again, each id with the end that it would have had
   */
  apply(batch: MirrorBatch, historyLost: boolean): Map<string, KeyEnd> {
    const forget = historyLost || batch.revision < this.#revision;
    this.#revision = batch.revision;
    const went = new Map<string, KeyEnd>();
    for (const kv of batch.deletes) {
      if (!this.isOfId(kv)) continue;
      const id = this.idOf(kv);
      went.set(id, endOf(stateOf(kv)));
      this.#change(id, () => this.#shown.delete(id));
    }
    for (const kv of batch.puts) {
      if (!this.isOfId(kv)) continue;
      const id = this.idOf(kv);
      this.#change(id, () => this.#shown.set(id, stateOf(kv)));
    }
    for (const [id, answer] of this.#answers) {
      const { unseen, asOf } = answer;
      if (unseen && (forget || unseen.modRevision <= batch.revision)) {
        // It came and went between two steps of the mirror, which shows nothing of it.
        if (!this.#shown.has(id)) went.set(id, endOf(unseen));
        answer.unseen = undefined;
      }
      if (forget || asOf <= batch.revision) this.#change(id, () => this.#answers.delete(id));
    }
    if (forget) {
      for (const [id, { end }] of this.#contradicted) if (!went.has(id)) went.set(id, end);
      this.#contradicted.clear();
    }
    for (const id of went.keys()) {
      const answer = this.#answers.get(id);
      if (this.get(id)) went.delete(id);
      // What was there before that answer is reported by now.
      else if (answer) answer.unseen = undefined;
    }
    return went;
  }

  /**
   * The prefix itself is the key of no id; nor is what is not UTF-8: another key can read the same. Nor what leads out
   * of a folder when it is taken for a path there: the cleaning of an id removes files.
   */
  isOfId(kv: KeyValue): boolean {
    const id = this.idOf(kv);
    return id !== "" && !kv.key.includes("\ufffd") && staysBelow(id);
  }

  idOf(kv: KeyValue): string {
    return kv.key.slice(this.#prefix.length);
  }

  /** Does something to what is known of an id, and lists it anew by what comes of that. */
  #change(id: string, change: () => void): void {
    const before = this.get(id);
    change();
    const after = this.get(id);
    this.#size += (after ? 1 : 0) - (before ? 1 : 0);
    if (before?.expiresAt === after?.expiresAt) return;
    this.#unlist(id, before?.expiresAt);
    this.#list(id, after?.expiresAt);
  }

  #list(id: string, end: number | undefined): void {
    if (end === undefined) return;
    const listed = this.#byEnd.get(end);
    if (listed) listed.add(id);
    else this.#byEnd.set(end, new Set([id]));
  }

  #unlist(id: string, end: number | undefined): void {
    if (end === undefined) return;
    const listed = this.#byEnd.get(end);
    listed?.delete(id);
    if (listed?.size === 0) this.#byEnd.delete(end);
  }
}

export function endOf({ expiresAt, ttlSeconds }: Tracked): KeyEnd {
  return { expiresAt, ttlSeconds };
}

export function stateOf(kv: KeyValue): Tracked {
  const { expiresAt, ttlSeconds } = decodeTracking(kv.text) ?? {};
  return { modRevision: kv.modRevision, expiresAt, ttlSeconds, lease: kv.lease };
}
