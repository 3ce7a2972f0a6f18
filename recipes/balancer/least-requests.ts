import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer } from "./balancer.ts";
import { ServerSlots } from "./server-slots.ts";
import type { ServerTraits } from "./server-traits.ts";

export interface LeastRequestsOptions<Server> extends ServerTraits<Server> {
  /** A number in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
}

const checkOptions = optionsOf("LeastRequests", { id: callback, weight: callback, random: callback });

/**
 * The server with the fewest calls in flight for its weight; among equals by chance, in proportion to their weights, so that
 * callers without concurrency spread out by weight too (with `(in flight + 1) / weight` they would all go to the heaviest).
 * The rule of nginx's least_conn.
 *
 * It knows the calls of this process only, by `started()` and `ended()`; without them it chooses at random by weight. A server
 * that fails at once has few calls in flight and attracts more: `P2c` is the one that minds latency and failures.
 *
 * The least of all, not of a sample. A pick costs O(n), and so does the first one after a change of the list; for lists of
 * many thousands `P2c` comes close at a constant cost.
 */
export class LeastRequests<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server>;
  readonly #random: () => number;

  /** @throws InvalidOptionError */
  constructor(options: LeastRequestsOptions<Server> = {}) {
    checkOptions(options);
    this.#slots = new ServerSlots("LeastRequests", options);
    this.#random = options.random ?? Math.random;
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const { slots, weights } = this.#slots.view(servers);
    const { inFlight } = this.#slots;
    let least = Number.POSITIVE_INFINITY;
    let weightOfEquals = 0;
    for (let at = 0; at < slots.length; at++) {
      const weight = weights[at] as number;
      if (weight === 0) continue;
      const load = (inFlight[slots[at] as number] as number) / weight;
      if (load < least) {
        least = load;
        weightOfEquals = weight;
      } else if (load === least) {
        weightOfEquals += weight;
      }
    }
    let rest = this.#random() * weightOfEquals;
    let chosen = 0;
    for (let at = 0; at < slots.length; at++) {
      const weight = weights[at] as number;
      if (weight === 0 || (inFlight[slots[at] as number] as number) / weight !== least) continue;
      chosen = at;
      rest -= weight;
      if (rest < 0) break;
    }
    return servers[chosen] as Server;
  }

  changed(): void {
    this.#slots.changed();
  }

  started(server: Server): void {
    this.#slots.started(server);
  }

  ended(server: Server): void {
    this.#slots.ended(server);
  }
}
