import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer, ServersChange } from "./balancer.ts";
import { Loads } from "./loads.ts";
import { ServerSlots } from "./server-slots.ts";
import type { ServerTraits } from "./server-traits.ts";

export interface LeastRequestsOptions<Server> extends ServerTraits<Server> {
  /** A number in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
}

const checkOptions = optionsOf("LeastRequests", { id: callback, weight: callback, random: callback });

/**
 * The server with the fewest calls in flight for its weight; among equals by chance, in proportion to their weights, so
 * that callers without concurrency spread out by weight too (with `(in flight + 1) / weight` they would all go to the
 * heaviest). The rule of nginx's least_conn.
 *
 * It knows the calls of this process only, by `started()` and `ended()`; without them it chooses at random by weight. A
 * server that fails at once has few calls in flight and attracts more: `P2c` is the one that minds latency and
 * failures.
 *
 * The least of all, not of a sample. A pick, a start and an end of a call cost O(log n), and so does each server that
 * changed; the first pick from an array, or after a change that came without positions, O(n log n).
 */
export class LeastRequests<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server, Loads>;

  /** @throws InvalidOptionError */
  constructor(options: LeastRequestsOptions<Server> = {}) {
    checkOptions(options);
    const random = options.random ?? Math.random;
    this.#slots = new ServerSlots({
      what: "LeastRequests",
      traits: options,
      makeIndex: () => new Loads((slot) => this.#slots.callsTo(slot), random),
    });
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const view = this.#slots.view(servers);
    return servers[view.placeOf(view.index.least())] as Server;
  }

  changed(change?: ServersChange<Server>): void {
    this.#slots.changed(change);
  }

  started(server: Server): void {
    this.#slots.started(server);
  }

  ended(server: Server): void {
    this.#slots.ended(server);
  }
}
