import type { ServersChange } from "./balancer.ts";

/** How something is worked out for an array of servers, and kept up to date. */
export interface ArrayWork<Server, Prepared> {
  /** @param before what it made for the same array when that held other servers */
  prepare(servers: readonly Server[], before: Prepared | undefined): Prepared;
  /**
   * Brings it up to date where the array holds other servers now, at positions below its length or that of before.
   * Those by which it grew or shrank may be missing. It may throw before anything happened, and is then asked again.
   *
   * @returns whether it did; else it is prepared anew
   */
  update?(prepared: Prepared, servers: readonly Server[], positions: ReadonlySet<number>): boolean;
  /** Whether what was out of use for a while must be prepared anew. */
  readonly agesUnused?: boolean;
}

interface Entry<Server, Prepared> {
  readonly servers: readonly Server[];
  length: number;
  version: number;
  prepared: Prepared;
  /** Where it holds other servers; undefined: nowhere. */
  positions: Set<number> | undefined;
  /** Its length when it was last said to have changed. */
  toldLength: number;
}

/** A list and a smaller one for a retry, and of both those that `SlowStart` regards as warm. */
const KEPT_ARRAYS = 4;
/** When more than this part of an array changed, it is worked out anew: that costs less for each server. */
const MOST_CHANGED = 1 / 8;
const FEW = 64;
const STALE = -1;

/**
 * What was worked out for an array of servers, as long as that array lives. A list that changes in place, and one that
 * is used in between for one retry, do not drive each other out. What changed is noted, and looked at with the next
 * `get()`.
 */
export class ArrayCache<Server, Prepared> {
  readonly #work: ArrayWork<Server, Prepared>;
  readonly #entries = new WeakMap<readonly Server[], Entry<Server, Prepared>>();
  /** Those that were used last, the latest first. */
  readonly #kept: Entry<Server, Prepared>[] = [];
  #version = 0;

  constructor(work: ArrayWork<Server, Prepared>) {
    this.#work = work;
  }

  get(servers: readonly Server[]): Prepared {
    const latest = this.#kept[0];
    if (latest !== undefined && latest.servers === servers && this.#isFresh(latest)) return latest.prepared;
    return this.#find(servers);
  }

  /** Arrays were changed in place. @param change undefined: any of them, in any way */
  changed(change?: ServersChange<Server>): void {
    if (change === undefined) {
      this.#version++;
      return;
    }
    const entry = this.#entries.get(change.servers);
    if (entry === undefined || entry.version !== this.#version) return;
    entry.positions ??= new Set();
    const { length } = change.servers;
    const most = Math.max(FEW, entry.length * MOST_CHANGED);
    if (Math.abs(length - entry.toldLength) <= most) {
      for (const position of change.positions) {
        entry.positions.add(position);
        if (entry.positions.size > most) break;
      }
      // By which it shrank and grew again in between, the length does not show.
      const shorter = Math.min(length, entry.toldLength);
      for (let at = shorter; at < Math.max(length, entry.toldLength); at++) entry.positions.add(at);
      entry.toldLength = length;
      if (entry.positions.size <= most) return;
    }
    entry.version = STALE;
    entry.positions = undefined;
  }

  /** What is kept of the arrays that were used last, the latest first. */
  kept(): Prepared[] {
    return this.#kept.map(({ prepared }) => prepared);
  }

  #find(servers: readonly Server[]): Prepared {
    const known = this.#entries.get(servers);
    const entry = known === undefined ? this.#make(servers) : this.#renewed(known);
    const place = this.#kept.indexOf(entry);
    if (place !== 0) {
      if (place > 0) this.#kept.splice(place, 1);
      this.#kept.unshift(entry);
      if (this.#kept.length > KEPT_ARRAYS) this.#putAside(this.#kept.pop());
    }
    return entry.prepared;
  }

  #make(servers: readonly Server[]): Entry<Server, Prepared> {
    const prepared = this.#work.prepare(servers, undefined);
    const { length } = servers;
    const entry = { servers, length, toldLength: length, version: this.#version, prepared, positions: undefined };
    this.#entries.set(servers, entry);
    return entry;
  }

  #renewed(entry: Entry<Server, Prepared>): Entry<Server, Prepared> {
    if (this.#isFresh(entry)) return entry;
    const { servers, prepared, positions } = entry;
    const isUpdated =
      positions !== undefined &&
      entry.version === this.#version &&
      this.#work.update?.(prepared, servers, positions) === true;
    if (!isUpdated) entry.prepared = this.#work.prepare(servers, prepared);
    entry.positions = undefined;
    entry.version = this.#version;
    entry.length = servers.length;
    entry.toldLength = servers.length;
    return entry;
  }

  #putAside(entry: Entry<Server, Prepared> | undefined): void {
    if (entry && this.#work.agesUnused) entry.version = STALE;
  }

  #isFresh({ servers, length, version, positions }: Entry<Server, Prepared>): boolean {
    return version === this.#version && length === servers.length && positions === undefined;
  }
}
