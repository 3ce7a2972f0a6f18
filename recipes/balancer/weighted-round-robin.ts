import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer } from "./balancer.ts";
import { ServerSlots, type SlotView } from "./server-slots.ts";
import type { ServerTraits } from "./server-traits.ts";

export interface WeightedRoundRobinOptions<Server> extends ServerTraits<Server> {
  /**
   * A number in [0, 1): the servers of the first list begin at random places of their turn, so that processes that start
   * together do not all begin with the same server. @default none: all begin at the same place
   */
  random?: (() => number) | undefined;
}

const checkOptions = optionsOf("WeightedRoundRobin", { id: callback, weight: callback, random: callback });

/**
 * One after the other, in proportion to the weights, and as evenly as possible: weights of 5, 1 and 1 give `a a b a c a a`
 * and not `a a a a a b c`. The smooth weighted round-robin of nginx: at each pick every server gains its weight, the one
 * that has most is picked and pays the sum of all weights.
 *
 * What a server has gained is kept by its id. One that joins begins at the mean of the others: it gets its share at once, and
 * no burst. When the weights change, nobody keeps more than one round of advance or arrears.
 *
 * A pick costs O(n), and so does the first pick after a change of the list.
 */
export class WeightedRoundRobin<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server>;
  readonly #random: (() => number) | undefined;
  readonly #settled = new WeakSet<SlotView>();
  /** What each has gained, by slot; NaN: it has just come. */
  #gains = new Float64Array(0);
  #started = false;

  /** @throws InvalidOptionError */
  constructor(options: WeightedRoundRobinOptions<Server> = {}) {
    checkOptions(options);
    this.#random = options.random;
    this.#slots = new ServerSlots("WeightedRoundRobin", options, (slot) => this.#join(slot));
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const view = this.#slots.view(servers);
    if (!this.#settled.has(view)) this.#settle(view);
    const { slots, weights, totalWeight } = view;
    const gains = this.#gains;
    let best = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < slots.length; at++) {
      const weight = weights[at] as number;
      if (weight === 0) continue;
      const slot = slots[at] as number;
      const gain = (gains[slot] as number) + weight;
      gains[slot] = gain;
      if (gain > most) {
        most = gain;
        best = at;
      }
    }
    gains[slots[best] as number] = most - totalWeight;
    return servers[best] as Server;
  }

  changed(): void {
    this.#slots.changed();
  }

  #join(slot: number): void {
    if (slot >= this.#gains.length) {
      const larger = new Float64Array(this.#slots.capacity);
      larger.set(this.#gains);
      this.#gains = larger;
    }
    this.#gains[slot] = Number.NaN;
  }

  /** Brings what the servers of an array have gained to a common measure, before it is first picked from. */
  #settle(view: SlotView): void {
    const { slots, totalWeight } = view;
    const gains = this.#gains;
    let sum = 0;
    let known = 0;
    for (const slot of slots) {
      const gain = gains[slot] as number;
      if (Number.isNaN(gain)) continue;
      sum += gain;
      known++;
    }
    const mean = known === 0 ? 0 : sum / known;
    const random = this.#started ? undefined : this.#random;
    for (const slot of slots) {
      const gain = gains[slot] as number;
      if (Number.isNaN(gain)) gains[slot] = random === undefined ? mean : random() * totalWeight;
      // A heavy server that leaves would leave the others as far apart as its weight, and one of them without a turn for
      // as long.
      else gains[slot] = Math.min(Math.max(gain, mean - totalWeight), mean + totalWeight);
    }
    this.#started = true;
    this.#settled.add(view);
  }
}
