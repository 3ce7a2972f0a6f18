import type { Protocol } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { HistoryLostError } from "../errors/history-lost-error.ts";
import type { Timer } from "../internal/clock.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import { keyAfter, type PageSize } from "../kv/index.ts";
import type { KeyRange } from "../model/key-range.ts";
import { type KeyValue, sameKeyState, sameKeyValue } from "../model/key-value.ts";
import type { WatchEvent } from "../model/watch-event.ts";
import { entryName } from "./mirror-batch.ts";

const debug = log("mirror");

/** From the end of one audit to the next; between half of that and one and a half. */
const EVERY_MS = 30 * 60_000;
/** After a proof by sample, or after the audit that was under way then, one begins within this time. */
const SOON_MS = 5 * 60_000;
/** Between two pages; between half of that and one and a half. */
const PAUSE_MS = 1_000;
/** After a page that failed, or that cannot be judged yet. */
const RETRY_MS = 10_000;
/** Etcd reads values even where only keys are asked for, so a page is also no longer than one of a list. */
const MOST_KEYS = 1_000;
/** Where keys with their values are no longer than this, values are compared, too. */
const SHORT_BYTES = 512;
/** A difference that can be an event on its way is one when it is seen so often. */
const MOST_DOUBTS = 3;

/** What is audited: one state of etcd, at `revision`. */
export interface Audited {
  readonly revision: number;
  readonly size: number;
}

export interface AuditParts {
  readonly protocol: Protocol;
  readonly runtime: Runtime;
  readonly range: KeyRange;
  /** What the list was like. */
  readonly pageSize: PageSize;
  readonly audited: Audited;
  /** One of its entries, by its `entryName()`. */
  entryNamed(name: string): KeyValue | undefined;
  /** The entries are not what etcd has. */
  onFault(error: HistoryLostError): void;
}

/**
 * Compares the entries of a mirror with etcd while it is live: every half an hour or so, and within five minutes
 * after a proof that was only a sample. A page of at most 1000 keys each second, without values unless they are
 * short, so that it costs little however many mirrors there are, and at random times, so that they do not come
 * together.
 *
 * Each page is read at the revision that the entries have at that moment. A key of which an event came meanwhile is
 * right by that. When every key that etcd has is an entry and their number is the same, there is no entry that etcd
 * does not have.
 */
export class MirrorAudit {
  readonly #parts: AuditParts;
  /** When the next audit begins; one that is under way goes on from `#cursor`. */
  #dueMs: number | undefined;
  #cursor: Uint8Array | undefined;
  #timer: Timer | undefined;
  #reading: AbortController | undefined;
  readonly #touched = new Set<string>();
  #doubts = 0;

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  /**
   * The entries are followed from now on.
   *
   * @param soon what they are was proved by a sample only. One that is under way still goes on from where it was: a link
   *   that breaks again and again must not keep the last pages from being read. Another one follows it
   */
  start(soon: boolean): void {
    const { clock, random } = this.#parts.runtime;
    const nowMs = clock.monotonicMs();
    this.stop();
    this.#dueMs ??= nowMs + around(EVERY_MS, random);
    if (soon) this.#dueMs = Math.min(this.#dueMs, nowMs + random() * SOON_MS);
    if (this.#cursor) this.#after(around(PAUSE_MS, random));
    // What is overdue after an outage is so for many at once.
    else this.#after(this.#dueMs > nowMs ? this.#dueMs - nowMs : random() * SOON_MS);
  }

  /** They are not followed for now, or not any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#reading?.abort();
    this.#reading = undefined;
  }

  /** The entries were read anew: there is nothing to go on with. */
  restart(): void {
    this.stop();
    this.#cursor = undefined;
    this.#dueMs = undefined;
    this.#doubts = 0;
  }

  /** Events changed the entries. */
  touched(events: readonly WatchEvent[]): void {
    if (this.#reading) for (const { kv } of events) this.#touched.add(entryName(kv));
  }

  #after(delayMs: number): void {
    this.#timer = this.#parts.runtime.clock.timer(delayMs, () => void this.#page()).unref();
  }

  async #page(): Promise<void> {
    const { range, runtime, onFault } = this.#parts;
    const reading = new AbortController();
    this.#reading = reading;
    this.#touched.clear();
    if (!this.#cursor) this.#dueMs = undefined;
    const start = this.#cursor ?? range.start;
    let next: Uint8Array | undefined;
    let delayMs = around(RETRY_MS, runtime.random);
    try {
      const { fault, certain, last, more } = await this.#compare(start, reading.signal);
      if (reading.signal.aborted) return;
      this.#doubts = fault === undefined ? 0 : this.#doubts + 1;
      if (fault !== undefined && (certain || this.#doubts >= MOST_DOUBTS)) {
        this.#reading = undefined;
        onFault(new HistoryLostError(`an audit found that etcd and the mirror differ: ${fault}`));
        return;
      }
      if (fault === undefined) {
        next = more && last ? keyAfter(last.keyBytes) : undefined;
        delayMs = around(PAUSE_MS, runtime.random);
      } else next = start;
    } catch (error) {
      if (reading.signal.aborted) return;
      debug("the audit waits: %s", (error as Error).message);
      // What no retry can change is tried again with the next audit.
      next = error instanceof EtcdError && error.retryable ? start : undefined;
    }
    this.#reading = undefined;
    this.#cursor = next;
    if (next) this.#after(delayMs);
    else this.start(false);
  }

  async #compare(start: Uint8Array, signal: AbortSignal) {
    const { audited, range } = this.#parts;
    const { revision, size } = audited;
    const { pageSize } = this.#parts;
    // A page of values shows how long they are.
    const keysOnly = (pageSize.bytesEach ?? 0) > SHORT_BYTES;
    const { page, certain } = await this.#read(start, revision, keysOnly, signal);
    if (!page) return { fault: `etcd has not come to revision ${revision}`, certain };
    if (keysOnly) pageSize.sawKeys(page.kvs.length);
    else pageSize.saw(page.kvs.length, page.bytes);
    // The first page says how many keys there are in all.
    const known = certain ? size : audited.size;
    let fault: string | undefined;
    if (start === range.start && page.count !== known) {
      fault = `it has ${page.count} keys at revision ${certain ? revision : page.revision}, not ${known}`;
    }
    const wrong = page.kvs.find((kv) => !this.#isSame(kv, keysOnly));
    if (wrong) fault = `"${wrong.key}" was changed at revision ${wrong.modRevision}`;
    return { fault, certain, last: page.kvs.at(-1), more: page.more };
  }

  #isSame(kv: KeyValue, keysOnly: boolean): boolean {
    const name = entryName(kv);
    if (this.#touched.has(name)) return true;
    const entry = this.#parts.entryNamed(name);
    return entry !== undefined && (keysOnly ? sameKeyState(entry, kv) : sameKeyValue(entry, kv));
  }

  /**
   * A page at `revision`. Where nothing changed for long that is compacted: then as it is now, and a difference may
   * be an event that is still on its way.
   */
  async #read(start: Uint8Array, revision: number, keysOnly: boolean, signal: AbortSignal) {
    const { protocol, range, pageSize } = this.#parts;
    const limit = Math.min(MOST_KEYS, pageSize.next());
    const request = { range: { ...range, start }, limit, keysOnly };
    try {
      return { page: await protocol.range({ ...request, revision }, { signal }), certain: true };
    } catch (error) {
      // A linearizable read knows all revisions of its history.
      if (error instanceof FutureRevisionError) return { page: undefined, certain: true };
      if (!(error instanceof CompactedError)) throw error;
      return { page: await protocol.range(request, { signal }), certain: false };
    }
  }
}

function around(ms: number, random: () => number): number {
  return ms * (0.5 + random());
}
