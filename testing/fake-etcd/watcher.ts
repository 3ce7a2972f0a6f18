import type { WatchCreateRequest, WatchResponse } from "../../src/connection/index.ts";
import type { WatchEvent, WatchFilter } from "../../src/model/watch-event.ts";
import type { Change, KeyStore, Revision } from "./key-store.ts";
import { isWithin, keyText, type TextRange, textRange } from "./key-text.ts";

/** What etcd sends at most in one answer to a watch that reads history (mvcc/watcher_group.go). */
const MOST_REVISIONS = 1_000;

export interface WatcherParts {
  readonly watchId: string;
  readonly store: KeyStore;
  /** An answer with more bytes of keys and values than this goes in parts. */
  readonly fragmentBytes: number;
  send(response: WatchResponse): void;
}

/** One watch, as the server has it: what it has received already, and what comes next. */
export class Watcher {
  readonly #parts: WatcherParts;
  readonly #range: TextRange;
  readonly #previous: boolean;
  readonly #filters: readonly WatchFilter[];
  readonly #first: number;
  /** It has received all that there is, so it gets each new revision at once. */
  #synced: boolean;

  constructor(request: WatchCreateRequest, parts: WatcherParts) {
    this.#parts = parts;
    this.#range = textRange(request.range);
    this.#previous = request.previous;
    this.#filters = request.filters ?? [];
    this.#first = request.startRevision;
    this.#synced = this.#first > parts.store.revision;
  }

  get isSynced(): boolean {
    return this.#synced;
  }

  /** Reads what it has not received yet. @returns false when that is compacted, and it is over */
  catchUp(): boolean {
    const { store } = this.#parts;
    if (this.#synced) return true;
    if (this.#first < store.compactRevision) {
      this.#say({ canceled: true, headerRevision: 0, compactRevision: store.compactRevision });
      return false;
    }
    const revisions = store.changesSince(this.#first);
    for (let first = 0; first < revisions.length; first += MOST_REVISIONS) {
      this.#report(revisions.slice(first, first + MOST_REVISIONS));
    }
    this.#synced = true;
    return true;
  }

  /** A revision was made. */
  changed(revision: Revision): void {
    if (this.#synced && revision.revision >= this.#first) this.#report([revision]);
  }

  /** Nothing is missing up to now. */
  progress(): void {
    if (this.#synced) this.#say({});
  }

  #report(revisions: readonly Revision[]): void {
    const isTold = ({ key, type }: Change) => isWithin(this.#range, key) && !this.#filters.includes(type);
    const events = revisions.flatMap(({ revision, changes }) =>
      changes.filter(isTold).map((change) => this.#event(change, revision)),
    );
    if (events.length > 0) this.#sendInParts(events);
  }

  #event({ type, kv, key }: Revision["changes"][number], revision: number): WatchEvent {
    // A key that was deleted at the same revision, too, is there anew.
    const isNew = type === "put" && kv.createRevision === revision;
    if (!this.#previous || isNew || revision - 1 < this.#parts.store.compactRevision) return { type, kv };
    const [previous] = this.#parts.store.range({ start: key, end: undefined }, revision - 1);
    return previous ? { type, kv, previous } : { type, kv };
  }

  /** Also in the middle of a revision. All but the last part say that more follows. */
  #sendInParts(events: readonly WatchEvent[]): void {
    let part: WatchEvent[] = [];
    let bytes = 0;
    for (const event of events) {
      const size = sizeOf(event);
      if (part.length > 0 && bytes + size >= this.#parts.fragmentBytes) {
        this.#say({ events: part, fragment: true });
        part = [];
        bytes = 0;
      }
      part.push(event);
      bytes += size;
    }
    this.#say({ events: part });
  }

  #say(response: Partial<WatchResponse>): void {
    const { watchId, store } = this.#parts;
    this.#parts.send(watchResponse({ watchId, headerRevision: store.revision, ...response }));
  }
}

export function watchResponse(response: Partial<WatchResponse>): WatchResponse {
  return {
    watchId: "0",
    headerRevision: 0,
    created: false,
    canceled: false,
    cancelReason: "",
    compactRevision: 0,
    fragment: false,
    events: [],
    ...response,
  };
}

function sizeOf({ kv, previous }: WatchEvent): number {
  return [kv, previous].reduce((sum, each) => sum + (each ? each.key.length + each.value.length : 0), 0);
}

/** etcd takes no watch of a range that has no room for a key. */
export function isEmptyRange(request: WatchCreateRequest): boolean {
  const { end } = textRange(request.range);
  return typeof end === "string" && keyText(request.range.start) >= end;
}
