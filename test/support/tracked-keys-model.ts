import { encodeTracking } from "../../recipes/cache-expirer/buckets.ts";
import { TrackedKeys } from "../../recipes/cache-expirer/tracked-keys.ts";
import type { KeyValue, MirrorBatch, WatchEvent } from "../../src/index.ts";
import { applyEvents, difference, type Entries, type MirrorStep, mergeSteps } from "../../src/watch/mirror-batch.ts";
import type { Seeded } from "./seeded.ts";

const prefix = "cache/";

/** What etcd answered and its process has not heard yet; `revision` is that of the answer's header. */
interface Answer {
  readonly id: string;
  readonly kv: KeyValue | undefined;
  readonly revision: number;
}

/**
 * A TrackedKeys beside a store whose whole history is known: answers arrive late and in any order, the mirror comes to
 * any revision at any time, by events, by merged steps or by a list. After each step what is known must be what the
 * store had at the newest revision that was seen.
 */
export class TrackedKeysModel {
  readonly keys = new TrackedKeys(prefix);
  /** What was done, for people. */
  readonly steps: string[] = [];
  readonly #random: Seeded;
  readonly #ids: readonly string[];
  #revision = 1;
  /** By id: each revision at which it changed, and what it was from then on. */
  #history = new Map<string, { readonly revision: number; readonly kv: KeyValue | undefined }[]>();
  #events: WatchEvent[] = [];
  #answers: Answer[] = [];
  #entries: Entries = new Map();
  #mirrorRevision = 0;
  #listed = false;
  /** By id: the newest revision of the history that an answer showed. */
  readonly #heard = new Map<string, number>();
  #wiped = false;
  /** By id: when something last said that it is there, and when its end was last reported. */
  readonly #knownAt = new Map<string, number>();
  readonly #goneAt = new Map<string, number>();
  readonly #received = new Map<string, number>();
  readonly #deletions = new Map<string, number>();

  constructor(random: Seeded) {
    this.#random = random;
    this.#ids = Array.from({ length: random.between(1, 4) }, (_, i) => `id-${i}`);
  }

  /** Does something at random. @throws when what is known is not what it should be */
  step(): void {
    const random = this.#random;
    const id = random.pick(this.#ids);
    const draw = random.between(1, 100);
    if (draw <= 25) this.#put(id, random.chance(0.5));
    else if (draw <= 38) this.#delete(id, random.chance(0.5));
    else if (draw <= 45) this.#do(`another client's write is revision ${++this.#revision}`);
    else if (draw <= 60) this.#ask(id);
    else if (draw <= 80) this.#hear();
    else if (draw <= 99) this.#mirror();
    else this.#wipe();
    this.#check();
  }

  /** Everything arrives. @throws when an id was known and is gone, and that was not reported */
  finish(): void {
    while (this.#answers.length > 0) this.#hear();
    this.#revision++;
    this.#mirror(true);
    this.#check();
    for (const id of this.#ids) {
      const known = this.#knownAt.get(id);
      if (known === undefined || this.keys.get(id)) continue;
      if ((this.#goneAt.get(id) ?? -1) < known) this.#fail(`nothing reported that ${id} went`);
    }
  }

  #put(id: string, own: boolean): void {
    const last = this.#stateAt(id, this.#revision);
    const revision = ++this.#revision;
    const kv = {
      key: prefix + id,
      keyBytes: Buffer.from(prefix + id),
      text: encodeTracking({ bucket: 1, expiresAt: this.#random.between(1, 5) }),
      createRevision: last?.createRevision ?? revision,
      modRevision: revision,
      version: (last?.version ?? 0) + 1,
      value: new Uint8Array(),
    } as Partial<KeyValue> as KeyValue;
    this.#changed(id, kv, { type: "put", kv } as WatchEvent);
    this.#do(`${id} is put at ${revision}`);
    if (own) this.#answers.push({ id, kv, revision });
  }

  #delete(id: string, own: boolean): void {
    if (!this.#stateAt(id, this.#revision)) return;
    const revision = ++this.#revision;
    const kv = {
      key: prefix + id,
      keyBytes: Buffer.from(prefix + id),
      modRevision: revision,
    } as Partial<KeyValue> as KeyValue;
    this.#changed(id, undefined, { type: "delete", kv } as WatchEvent);
    this.#deletions.set(id, (this.#deletions.get(id) ?? 0) + 1);
    this.#do(`${id} is deleted at ${revision}`);
    if (own) this.#answers.push({ id, kv: undefined, revision });
  }

  #changed(id: string, kv: KeyValue | undefined, event: WatchEvent): void {
    const history = this.#history.get(id) ?? [];
    this.#history.set(id, history);
    history.push({ revision: this.#revision, kv });
    this.#events.push(event);
  }

  #ask(id: string): void {
    this.#answers.push({ id, kv: this.#stateAt(id, this.#revision), revision: this.#revision });
  }

  #hear(): void {
    const [answer] = this.#answers.splice(this.#random.between(0, Math.max(0, this.#answers.length - 1)), 1);
    if (!answer) return;
    const { id, kv, revision } = answer;
    this.#do(`an answer of ${revision}: ${id} ${kv ? `has modRevision ${kv.modRevision}` : "is missing"}`);
    this.#heard.set(id, Math.max(revision, this.#heard.get(id) ?? 0));
    if (!kv) {
      this.keys.missing(id, revision);
      return;
    }
    this.#knownAt.set(id, this.steps.length);
    const { expiresAt } = JSON.parse(kv.text) as { expiresAt: number };
    if (!this.keys.found(id, { modRevision: kv.modRevision, expiresAt })) this.#clean(id);
  }

  /** As the cleaner does: it asks etcd, and cleans only what is not there. */
  #clean(id: string): void {
    const kv = this.#stateAt(id, this.#revision);
    this.#do(`${id} is to be cleaned, and ${kv ? `has modRevision ${kv.modRevision}` : "is missing"}`);
    if (!kv) {
      this.#goneAt.set(id, this.steps.length);
      return;
    }
    this.#knownAt.set(id, this.steps.length);
    const { expiresAt } = JSON.parse(kv.text) as { expiresAt: number };
    this.#heard.set(id, Math.max(kv.modRevision, this.#heard.get(id) ?? 0));
    this.keys.stands(id, { modRevision: kv.modRevision, expiresAt });
  }

  #mirror(toTheEnd = false): void {
    const random = this.#random;
    const wiped = this.#wiped;
    if (!this.#listed || wiped || random.chance(0.15)) {
      const revision = toTheEnd || wiped ? this.#revision : random.between(this.#mirrorRevision, this.#revision);
      const after: Entries = new Map();
      for (const id of this.#ids) {
        const kv = this.#stateAt(id, revision);
        if (kv) after.set(kv.key, kv);
      }
      const { puts, deletes } = difference(this.#entries, after, revision, (a, b) => a === b);
      const type = this.#listed ? "resynced" : "snapshot";
      this.#entries = after;
      this.#listed = true;
      this.#wiped = false;
      if (wiped) this.#heard.clear();
      // A history that begins with lower revisions shows without a word.
      const historyLost = wiped && !(revision < this.#mirrorRevision && random.chance(0.5));
      this.#apply({ type, revision, puts, deletes }, historyLost);
      return;
    }
    const steps: MirrorStep[] = [];
    const end = toTheEnd ? this.#revision : random.between(this.#mirrorRevision, this.#revision);
    for (let from = this.#mirrorRevision; from < end; ) {
      const to = random.between(from + 1, end);
      const events = this.#events.filter(({ kv }) => kv.modRevision > from && kv.modRevision <= to);
      steps.push(applyEvents(this.#entries, events, to));
      from = to;
    }
    if (steps.length > 1 && random.chance(0.3)) this.#apply(mergeSteps(steps), false);
    else for (const step of steps) this.#apply(step, false);
  }

  #apply(batch: MirrorBatch, historyLost: boolean): void {
    const name = (kv: KeyValue) => `${kv.key}@${kv.modRevision}`;
    const [puts, deletes] = [batch.puts.map(name), batch.deletes.map(name)];
    this.#do(`${batch.type} to ${batch.revision}${historyLost ? ", history lost" : ""}: +[${puts}] -[${deletes}]`);
    this.#mirrorRevision = batch.revision;
    for (const [id, expiresAt] of this.keys.apply(batch, historyLost)) {
      this.steps.push(`reported that ${id} went`);
      if (expiresAt === undefined) this.#fail(`it is not known when ${id} would have ended`);
      if (this.keys.get(id)) this.#fail(`${id} is reported gone, and is there`);
      this.#goneAt.set(id, this.steps.length);
      this.#received.set(id, (this.#received.get(id) ?? 0) + 1);
      if ((this.#received.get(id) ?? 0) > (this.#deletions.get(id) ?? 0))
        this.#fail(`${id} is reported more often than it went`);
    }
  }

  /** Etcd has another history: what was there is gone, and its revisions begin anywhere. */
  #wipe(): void {
    if (!this.#listed || this.#wiped) return;
    // What was answered before arrives before anything that the new one says, or never.
    while (this.#random.chance(0.5) && this.#answers.length > 0) this.#hear();
    for (const id of this.#ids) {
      if (this.keys.get(id) || this.#stateAt(id, this.#revision)) {
        this.#deletions.set(id, (this.#deletions.get(id) ?? 0) + 1);
      }
    }
    this.#answers = [];
    this.#events = [];
    this.#history = new Map();
    this.#revision = this.#random.between(1, 2 * this.#revision);
    this.#wiped = true;
    this.#do(`wiped, at ${this.#revision}`);
  }

  #check(): void {
    let size = 0;
    const ends: number[] = [];
    for (const id of this.#ids) {
      const known = this.keys.get(id);
      if (known) {
        this.#knownAt.set(id, this.steps.length);
        size++;
        if (known.expiresAt !== undefined) ends.push(known.expiresAt);
      }
      // Until the mirror shows the other history nothing is sure.
      if (this.#wiped) continue;
      const revision = Math.max(this.#mirrorRevision, this.#heard.get(id) ?? 0);
      const kv = this.#stateAt(id, revision);
      if (known?.modRevision !== kv?.modRevision) {
        this.#fail(`${id} is known as of ${known?.modRevision}, and was so of ${kv?.modRevision} at ${revision}`);
      }
    }
    if (this.keys.size !== size) this.#fail(`the size is ${this.keys.size}, not ${size}`);
    for (let atMs = 0; atMs <= 5; atMs++) {
      const ended = this.keys.endedBy(atMs).length;
      if (ended !== ends.filter((end) => end <= atMs).length) this.#fail(`${ended} end by ${atMs}`);
    }
  }

  #stateAt(id: string, revision: number): KeyValue | undefined {
    return this.#history.get(id)?.findLast((entry) => entry.revision <= revision)?.kv;
  }

  #do(what: string): void {
    this.steps.push(what);
  }

  #fail(why: string): never {
    throw new Error(`${why}, after:\n${this.steps.join("\n")}`);
  }
}
