interface Entry<Server, Prepared> {
  readonly servers: readonly Server[];
  readonly length: number;
  readonly version: number;
  readonly prepared: Prepared;
}

/** A list and a smaller one for a retry, and of both those that `SlowStart` regards as warm. */
const KEPT_ARRAYS = 4;

/**
 * What was worked out for an array of servers, kept for the arrays that were used last: a list that changes in place, and one
 * that is used in between for one retry, do not drive each other out.
 */
export class ArrayCache<Server, Prepared> {
  readonly #prepare: (servers: readonly Server[], before: Prepared | undefined) => Prepared;
  /** The latest first. */
  readonly #entries: Entry<Server, Prepared>[] = [];
  #version = 0;

  /** @param prepare also gets what it made for the same array when that held other servers */
  constructor(prepare: (servers: readonly Server[], before: Prepared | undefined) => Prepared) {
    this.#prepare = prepare;
  }

  get(servers: readonly Server[]): Prepared {
    const latest = this.#entries[0];
    if (latest !== undefined && latest.servers === servers && this.#isFresh(latest)) return latest.prepared;
    return this.#find(servers);
  }

  /** Arrays were changed in place: each is worked out again when it is asked for. */
  changed(): void {
    this.#version++;
  }

  /** What is kept at the moment, the latest first. */
  kept(): Prepared[] {
    return this.#entries.map(({ prepared }) => prepared);
  }

  #find(servers: readonly Server[]): Prepared {
    const entries = this.#entries;
    const known = entries.findIndex((entry) => entry.servers === servers);
    const before = entries[known];
    const entry = before !== undefined && this.#isFresh(before) ? before : this.#make(servers, before?.prepared);
    if (known >= 0) entries.splice(known, 1);
    entries.unshift(entry);
    if (entries.length > KEPT_ARRAYS) entries.pop();
    return entry.prepared;
  }

  #make(servers: readonly Server[], before: Prepared | undefined): Entry<Server, Prepared> {
    return { servers, length: servers.length, version: this.#version, prepared: this.#prepare(servers, before) };
  }

  #isFresh({ servers, length, version }: Entry<Server, Prepared>): boolean {
    return version === this.#version && length === servers.length;
  }
}
