import { IndexedHeap } from "./indexed-heap.ts";
import type { SlotView } from "./server-slots.ts";

/** Servers with the same load. */
interface Level {
  /** How many there are. */
  servers: number;
  /** The number of the one that was chosen last. */
  drawn: number;
}

/**
 * The load of each server of an array, its calls in flight for its weight, and which one has least.
 *
 * Among equals each is chosen in proportion to its weight: each has drawn a number from the exponential distribution
 * with its weight as the rate, the least number is chosen, and the one that was chosen draws again, from there on. Such
 * draws have no memory, so one that waits is neither preferred nor put back.
 */
export class Loads {
  readonly #slots: Int32Array;
  readonly #weights: Float64Array;
  readonly #random: () => number;
  readonly #loads: Float64Array;
  readonly #draws: Float64Array;
  readonly #heap: IndexedHeap;
  /** Where the server of a slot stands in the array; −1: it is not in it. */
  readonly #positions: Int32Array;
  readonly #levels = new Map<number, Level>();

  constructor({ slots, weights }: SlotView, inFlight: Int32Array, capacity: number, random: () => number) {
    this.#slots = slots;
    this.#weights = weights;
    this.#random = random;
    this.#loads = new Float64Array(slots.length);
    this.#draws = new Float64Array(slots.length);
    this.#positions = new Int32Array(capacity).fill(-1);
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at] as number;
      this.#positions[slot] = at;
      if (this.#weighs(at)) this.#enter(at, inFlight[slot] as number);
    }
    this.#heap = new IndexedHeap(this.#loads, this.#draws, (at) => this.#weighs(at));
  }

  /** The position of a server with the least load. */
  least(): number {
    const at = this.#heap.top ?? 0;
    const level = this.#levels.get(this.#loads[at] as number);
    if (level) {
      level.drawn = this.#draws[at] as number;
      this.#draws[at] = this.#drawAfter(level, at);
      this.#heap.moved(at);
    }
    return at;
  }

  /** So many calls are in flight to the server of this slot now. */
  set(slot: number, calls: number): void {
    const at = this.#positions[slot] ?? -1;
    if (at < 0 || this.#slots[at] !== slot || !this.#weighs(at)) return;
    this.#leave(this.#loads[at] as number);
    this.#enter(at, calls);
    this.#heap.moved(at);
  }

  #enter(at: number, calls: number): void {
    const load = calls / (this.#weights[at] as number);
    let level = this.#levels.get(load);
    if (!level) {
      level = { servers: 0, drawn: 0 };
      this.#levels.set(load, level);
    }
    level.servers++;
    this.#loads[at] = load;
    this.#draws[at] = this.#drawAfter(level, at);
  }

  #leave(load: number): void {
    const level = this.#levels.get(load);
    if (level && --level.servers === 0) this.#levels.delete(load);
  }

  #drawAfter({ drawn }: Level, at: number): number {
    return drawn - Math.log(1 - this.#random()) / (this.#weights[at] as number);
  }

  #weighs(at: number): boolean {
    return (this.#weights[at] as number) > 0;
  }
}
