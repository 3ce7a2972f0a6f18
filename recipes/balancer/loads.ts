import { IndexedHeap } from "./indexed-heap.ts";
import type { SlotIndex } from "./slot-view.ts";
import { roomFor } from "./typed-arrays.ts";

/** Servers with the same load. */
interface Level {
  /** How many there are. */
  servers: number;
  /** The number of the one that was chosen last. */
  drawn: number;
}

/**
 * The load of each of some servers, its calls in flight for its weight, and which one has least.
 *
 * Among equals each is chosen in proportion to its weight: each has drawn a number from the exponential distribution
 * with its weight as the rate, the least number is chosen, and the one that was chosen draws again, from there on. Such
 * draws have no memory, so one that waits is neither preferred nor put back.
 */
export class Loads implements SlotIndex {
  readonly #callsOf: (slot: number) => number;
  readonly #random: () => number;
  /** The slots, by load and draw. */
  readonly #heap = new IndexedHeap();
  #weights = new Float64Array(0);
  readonly #levels = new Map<number, Level>();

  /** @param callsOf the calls in flight of a slot */
  constructor(callsOf: (slot: number) => number, random: () => number) {
    this.#callsOf = callsOf;
    this.#random = random;
  }

  set(slot: number, weight: number): void {
    const has = this.#heap.has(slot);
    const calls = this.#callsOf(slot);
    if (has && this.#weights[slot] === weight && this.#heap.firstOf(slot) === calls / weight) return;
    if (has) this.#leave(slot);
    this.#weights = roomFor(this.#weights, slot);
    this.#weights[slot] = weight;
    this.#enter(slot, calls);
  }

  delete(slot: number): void {
    if (!this.#heap.has(slot)) return;
    this.#leave(slot);
    this.#heap.delete(slot);
  }

  callsChanged(slot: number): void {
    if (this.#heap.has(slot)) this.set(slot, this.#weights[slot] as number);
  }

  /** A slot with the least load; there is at least one. */
  least(): number {
    const slot = this.#heap.top as number;
    const load = this.#heap.firstOf(slot);
    const level = this.#levels.get(load) as Level;
    level.drawn = this.#heap.secondOf(slot);
    this.#heap.set(slot, load, this.#drawAfter(level, slot));
    return slot;
  }

  #enter(slot: number, calls: number): void {
    const load = calls / (this.#weights[slot] as number);
    let level = this.#levels.get(load);
    if (!level) {
      level = { servers: 0, drawn: 0 };
      this.#levels.set(load, level);
    }
    level.servers++;
    this.#heap.set(slot, load, this.#drawAfter(level, slot));
  }

  #leave(slot: number): void {
    const load = this.#heap.firstOf(slot);
    const level = this.#levels.get(load);
    if (level && --level.servers === 0) this.#levels.delete(load);
  }

  #drawAfter({ drawn }: Level, slot: number): number {
    return drawn - Math.log(1 - this.#random()) / (this.#weights[slot] as number);
  }
}
