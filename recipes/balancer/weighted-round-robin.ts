import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer, ServersChange } from "./balancer.ts";
import { ServerSlots } from "./server-slots.ts";
import type { ServerTraits } from "./server-traits.ts";
import { Turns } from "./turns.ts";

export interface WeightedRoundRobinOptions<Server> extends ServerTraits<Server> {
  /**
   * A number in [0, 1): the servers of the first list begin at random places of their turn, so that processes that
   * start together do not all begin with the same server. @default none: all begin at the same place
   */
  random?: (() => number) | undefined;
}

const checkOptions = optionsOf("WeightedRoundRobin", { id: callback, weight: callback, random: callback });

/**
 * One after the other, in proportion to the weights, and as evenly as possible: weights of 5, 1 and 1 give
 * `a b a a a c a` and not `a a a a a b c`. Earliest deadline first: a server of weight w among weights that sum up to W
 * is due every W / w picks, and the one that is due first is chosen. With whole weights each gets exactly w of W picks
 * in a row, counted from the first one.
 *
 * The smooth weighted round-robin of nginx has the same shares, in another order (`a a b a c a a`): it looks at all
 * servers for each pick, and gives the turns of the light ones by what all others have gained.
 *
 * Each array has turns of its own, which go on when it changes in place: how long a server still has to wait is kept by
 * its id, as a part of its interval. One that joins waits for a part of its own: it gets its share at once, and no
 * burst. The first turn of each further array goes to another server, so that retries spread.
 *
 * A pick costs O(log n), and so does each server that changed; the first pick from an array, or after a change that was
 * without positions, O(n log n).
 */
export class WeightedRoundRobin<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server, Turns>;

  /** @throws InvalidOptionError */
  constructor(options: WeightedRoundRobinOptions<Server> = {}) {
    checkOptions(options);
    const random = options.random ?? goldenNumbers();
    let arrays = 0;
    this.#slots = new ServerSlots({
      what: "WeightedRoundRobin",
      traits: options,
      makeIndex: () => new Turns(random, arrays++ > 0),
    });
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const view = this.#slots.view(servers);
    return servers[view.placeOf(view.index.next())] as Server;
  }

  changed(change?: ServersChange<Server>): void {
    this.#slots.changed(change);
  }
}

/** A part of 1 by the golden ratio: its multiples modulo 1 lie as far from each other as they can. */
const GOLDEN_PART = (3 - Math.sqrt(5)) / 2;

/** Numbers in [0, 1) that are spread evenly, and the same ones for each balancer. */
function goldenNumbers(): () => number {
  let drawn = 0;
  return () => (0.5 + drawn++ * GOLDEN_PART) % 1;
}
