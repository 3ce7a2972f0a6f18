import type { Runtime } from "../../internal/runtime.ts";
import type { Endpoint, Lane } from "./endpoint.ts";

/** The order in which endpoints are tried: each lane stays with the one that works and moves on when it fails. */
export class EndpointSet {
  #all: readonly Endpoint[];
  readonly #runtime: Runtime;
  readonly #current: Record<Lane, number>;

  constructor(endpoints: readonly Endpoint[], runtime: Runtime) {
    this.#all = endpoints;
    this.#runtime = runtime;
    const first = Math.floor(runtime.random() * endpoints.length);
    this.#current = { calls: first, streams: first };
  }

  get all(): readonly Endpoint[] {
    return this.#all;
  }

  /** The lanes stay with endpoints that stay. @returns those that are no longer among them */
  replace(endpoints: readonly Endpoint[]): Endpoint[] {
    const before = this.#all;
    this.#all = endpoints;
    for (const lane of ["calls", "streams"] as const) {
      const kept = endpoints.indexOf(before[this.#current[lane]] as Endpoint);
      this.#current[lane] = kept >= 0 ? kept : Math.floor(this.#runtime.random() * endpoints.length);
    }
    return before.filter((endpoint) => !endpoints.includes(endpoint));
  }

  /** Every endpoint once: the current one first, then the others in turn; those that failed lately come last. */
  inOrder(lane: Lane, after?: Endpoint): Endpoint[] {
    const now = this.#runtime.clock.monotonicMs();
    const first = after ? this.all.indexOf(after) + 1 : this.#current[lane];
    const turn = this.all.map((_, offset) => this.all[(first + offset) % this.all.length] as Endpoint);
    const good = turn.filter((endpoint) => endpoint.avoidUntilMs <= now);
    const doubtful = turn.filter((endpoint) => endpoint.avoidUntilMs > now);
    doubtful.sort((a, b) => a.avoidUntilMs - b.avoidUntilMs);
    return [...good, ...doubtful];
  }

  /** The one that the lane stays with, unless it failed lately. */
  current(lane: Lane): Endpoint | undefined {
    const endpoint = this.#all[this.#current[lane]];
    return endpoint?.avoidUntilMs === 0 ? endpoint : undefined;
  }

  worked(lane: Lane, endpoint: Endpoint): void {
    const index = this.all.indexOf(endpoint);
    // It may have been taken out while the call was under way.
    if (index >= 0) this.#current[lane] = index;
    endpoint.succeeded(lane);
  }
}
