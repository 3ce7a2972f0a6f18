import type { ServersChange } from "./balancer.ts";

/**
 * Some of the servers of an array, in an array of its own that changes in place as that one does, at the cost of what
 * changed. They keep their places; the last one takes that of one that goes.
 */
export class ArraySubset<Server> {
  readonly #servers: Server[] = [];
  /** Where a position of the whole array stands here; −1: nowhere. */
  readonly #places: number[] = [];
  /** And the other way round. */
  readonly #positions: number[] = [];
  readonly #changed = new Set<number>();

  get servers(): readonly Server[] {
    return this.#servers;
  }

  /** Looks at all, and keeps their order. */
  fill(servers: readonly Server[], contains: (server: Server, at: number) => boolean): void {
    this.#servers.length = 0;
    this.#places.length = 0;
    this.#positions.length = 0;
    this.#changed.clear();
    for (const [at, server] of servers.entries()) this.set(at, contains(server, at) ? server : undefined);
    this.#changed.clear();
  }

  /** Looks at the positions where the whole array changed, and at those by which it grew or shrank. */
  update(
    servers: readonly Server[],
    positions: ReadonlySet<number>,
    contains: (server: Server, at: number) => boolean,
  ): void {
    const grown = this.#places.length;
    const look = (at: number) => {
      const server = servers[at] as Server;
      this.set(at, contains(server, at) ? server : undefined);
    };
    for (const at of positions) if (at < servers.length) look(at);
    for (let at = grown; at < servers.length; at++) if (!positions.has(at)) look(at);
    for (let at = grown - 1; at >= servers.length; at--) this.set(at, undefined);
    this.#places.length = servers.length;
  }

  /** What stands at a position of the whole array now; undefined: one that is not in the subset. */
  set(at: number, server: Server | undefined): void {
    while (this.#places.length <= at) this.#places.push(-1);
    const place = this.#places[at] as number;
    if (server === undefined) {
      if (place >= 0) this.#takeOut(at, place);
      return;
    }
    const to = place >= 0 ? place : this.#servers.length;
    this.#servers[to] = server;
    this.#positions[to] = at;
    this.#places[at] = to;
    this.#changed.add(to);
  }

  /** Where it changed since the last time. */
  takeChange(): ServersChange<Server> {
    const positions = [...this.#changed];
    this.#changed.clear();
    return { servers: this.#servers, positions };
  }

  #takeOut(at: number, place: number): void {
    const last = this.#servers.length - 1;
    const moved = this.#servers.pop() as Server;
    const movedFrom = this.#positions.pop() as number;
    this.#places[at] = -1;
    this.#changed.add(last);
    if (place === last) return;
    this.#servers[place] = moved;
    this.#positions[place] = movedFrom;
    this.#places[movedFrom] = place;
    this.#changed.add(place);
  }
}
