import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer } from "./balancer.ts";
import { Loads } from "./loads.ts";
import { ServerSlots, type SlotView } from "./server-slots.ts";
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
 * The least of all, not of a sample. A pick, a start and an end of a call cost O(log n), the first pick after a change
 * of the list O(n).
 */
export class LeastRequests<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server>;
  readonly #random: () => number;
  readonly #loads = new WeakMap<SlotView, Loads>();

  /** @throws InvalidOptionError */
  constructor(options: LeastRequestsOptions<Server> = {}) {
    checkOptions(options);
    this.#slots = new ServerSlots("LeastRequests", options);
    this.#random = options.random ?? Math.random;
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const view = this.#slots.view(servers);
    let loads = this.#loads.get(view);
    if (!loads) {
      const { inFlight, capacity } = this.#slots;
      loads = new Loads(view, inFlight, capacity, this.#random);
      this.#loads.set(view, loads);
    }
    return servers[loads.least()] as Server;
  }

  changed(): void {
    this.#slots.changed();
  }

  started(server: Server): void {
    this.#loadChanged(this.#slots.started(server));
  }

  ended(server: Server): void {
    this.#loadChanged(this.#slots.ended(server));
  }

  #loadChanged(slot: number | undefined): void {
    if (slot === undefined) return;
    const calls = this.#slots.inFlight[slot] as number;
    for (const view of this.#slots.views()) this.#loads.get(view)?.set(slot, calls);
  }
}
