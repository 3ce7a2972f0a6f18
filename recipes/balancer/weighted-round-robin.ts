import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer } from "./balancer.ts";
import { ServerSlots, type SlotView } from "./server-slots.ts";
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
 * A pick costs O(log n), the first one after a change of the list O(n).
 */
export class WeightedRoundRobin<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server>;
  readonly #random: () => number;
  readonly #ofArrays = new WeakMap<readonly Server[], ArrayTurns>();
  #latest: ArrayTurns | undefined;
  #hasBegun = false;

  /** @throws InvalidOptionError */
  constructor(options: WeightedRoundRobinOptions<Server> = {}) {
    checkOptions(options);
    this.#random = options.random ?? goldenNumbers();
    this.#slots = new ServerSlots("WeightedRoundRobin", options);
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const view = this.#slots.view(servers);
    if (this.#latest?.view !== view) this.#latest = this.#turnsOf(servers, view);
    return servers[this.#latest.turns.next()] as Server;
  }

  changed(): void {
    this.#slots.changed();
  }

  #turnsOf(servers: readonly Server[], view: SlotView): ArrayTurns {
    const before = this.#ofArrays.get(servers);
    if (before?.view === view) return before;
    const newcomer = this.#hasBegun && !before ? () => this.#drawByWeight() : () => 1 - this.#random();
    const phases = before && this.#phasesOf(before);
    const phaseOf = (slot: number) => {
      const known = phases?.[slot] ?? Number.NaN;
      return Number.isNaN(known) ? newcomer() : known;
    };
    const ofArray = { view, turns: new Turns(view, phaseOf) };
    this.#ofArrays.set(servers, ofArray);
    this.#hasBegun = true;
    return ofArray;
  }

  /** How much of its interval each server still has to wait, by slot; NaN where that is not known. */
  #phasesOf({ view, turns }: ArrayTurns): Float64Array {
    const phases = new Float64Array(this.#slots.capacity).fill(Number.NaN);
    if (view.allZero) return phases;
    for (let at = 0; at < view.slots.length; at++) {
      if ((view.weights[at] as number) > 0) phases[view.slots[at] as number] = turns.phaseAt(at);
    }
    return phases;
  }

  /** Of several servers that wait so long, each for a part of its interval, the first is each one in proportion to its weight. */
  #drawByWeight(): number {
    return Math.min(-Math.log(1 - this.#random()), 1);
  }
}

interface ArrayTurns {
  readonly view: SlotView;
  readonly turns: Turns;
}

/** A part of 1 by the golden ratio: its multiples modulo 1 lie as far from each other as they can. */
const GOLDEN_PART = (3 - Math.sqrt(5)) / 2;

/** Numbers in [0, 1) that are spread evenly, and the same ones for each balancer. */
function goldenNumbers(): () => number {
  let drawn = 0;
  return () => (0.5 + drawn++ * GOLDEN_PART) % 1;
}
