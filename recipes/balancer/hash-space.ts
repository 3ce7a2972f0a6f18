import { BITS, HashCells, PROBES, type Search, THINNED } from "./hash-cells.ts";
import type { KeyHash } from "./key-hash.ts";
import type { SlotIndex } from "./slot-view.ts";
import { roomFor } from "./typed-arrays.ts";

const CIRCLE = 2 ** BITS;

/** Servers with a weight of at most 4^`exponent`, and above a quarter of that. */
interface WeightClass {
  readonly exponent: number;
  readonly cells: HashCells;
  /** Of its servers. */
  weight: number;
}

/**
 * Which server each key belongs to. What a key finds depends on the servers that are there, and on nothing else: one
 * that comes only takes keys, and one that goes only gives them.
 *
 * Multi-probe consistent hashing (Appleton and O'Reilly, 2015) on a thinned circle: each server has one position; a key
 * looks from eight places and goes to the server that is nearest to one of them. From each place only one in 128
 * servers can be found, by a lot that key, place and server draw. Without that a server that has another one close by
 * would nearly always be hidden by it, and shares differ by 20 % and more; with it any two are seldom found from the
 * same place, and shares differ by some 2 %, with one position for each server. Distance is the XOR of two positions,
 * as in Kademlia, so that what is near is a range of leading bits.
 *
 * A distance counts for as much less as a server weighs more. Servers of about the same weight are kept together, as
 * those that weigh more are looked for further away.
 */
export class HashSpace implements SlotIndex {
  readonly #callsOf: (slot: number) => number;
  readonly #hashOf: (slot: number) => KeyHash;
  readonly #classes: WeightClass[] = [];
  readonly #classOf: (WeightClass | undefined)[] = [];
  #weights = new Float64Array(0);
  /** The calls in flight, as they were counted. */
  #calls = new Int32Array(0);
  #totalWeight = 0;
  #totalCalls = 0;
  #callsPerWeight = Number.POSITIVE_INFINITY;
  readonly #search: Search = { refuses: (slot) => this.#isFull(slot), slot: -1, score: 0, position: 0 };

  /**
   * @param callsOf the calls in flight of a slot
   * @param hashOf the hash of a server's id, by slot
   */
  constructor(callsOf: (slot: number) => number, hashOf: (slot: number) => KeyHash) {
    this.#callsOf = callsOf;
    this.#hashOf = hashOf;
  }

  set(slot: number, weight: number): void {
    const exponent = Math.ceil(Math.log2(weight) / 2);
    const known = this.#classOf[slot];
    if (known?.exponent === exponent) {
      known.weight += weight - (this.#weights[slot] as number);
      known.cells.setWeight(slot, weight);
    } else {
      this.delete(slot);
      const weights = this.#classFor(exponent);
      weights.weight += weight;
      weights.cells.add(slot, this.#hashOf(slot), weight);
      while (this.#classOf.length <= slot) this.#classOf.push(undefined);
      this.#classOf[slot] = weights;
    }
    this.#weights = roomFor(this.#weights, slot);
    this.#weights[slot] = weight;
    this.#calls = roomFor(this.#calls, slot);
    this.#count(slot, this.#callsOf(slot));
    this.#sum();
  }

  delete(slot: number): void {
    const weights = this.#classOf[slot];
    if (!weights) return;
    this.#count(slot, 0);
    this.#classOf[slot] = undefined;
    weights.weight -= this.#weights[slot] as number;
    weights.cells.delete(slot);
    if (weights.cells.size === 0) this.#classes.splice(this.#classes.indexOf(weights), 1);
    this.#sum();
  }

  callsChanged(slot: number): void {
    if (this.#classOf[slot]) this.#count(slot, this.#callsOf(slot));
  }

  /**
   * The slot of a key; there is at least one.
   *
   * @param loadFactor none is found that has so many times its share of the calls in flight, that of this key included,
   *   rounded up; above 1
   */
  find(key: KeyHash, loadFactor: number): number {
    this.#callsPerWeight = (loadFactor * (this.#totalCalls + 1)) / this.#totalWeight;
    const search = this.#search;
    search.slot = -1;
    search.score = Number.POSITIVE_INFINITY;
    // Scores below 2^reach: at first such that one is found on average, then those below twice as much, and so on.
    const first = Math.floor(Math.log2((CIRCLE * THINNED) / (PROBES * this.#totalWeight)));
    for (let reach = first; ; reach++) {
      for (const weights of this.#classes) this.#look(weights, key, reach, reach === first);
      if (search.score < 2 ** reach) return search.slot;
    }
  }

  /**
   * Looks at the servers of a class with a score below 2^reach; only at those above half of that, unless it is the
   * first look.
   */
  #look({ exponent, cells }: WeightClass, key: KeyHash, reach: number, isFirst: boolean): void {
    const bits = reach + 2 * exponent;
    if (bits > BITS) {
      // All of them, as often as it goes round.
      for (let lap = isFirst ? 0 : 2 ** (bits - 1 - BITS); lap < 2 ** (bits - BITS); lap++) {
        cells.look(this.#search, key, cells.bits, 0, lap);
      }
      return;
    }
    const shift = bits + cells.bits - BITS;
    if (isFirst) cells.look(this.#search, key, Math.max(0, shift), 0, 0);
    else if (shift > 0) cells.look(this.#search, key, shift - 1, 1, 0);
  }

  #isFull(slot: number): boolean {
    const calls = this.#calls[slot] as number;
    return calls > 0 && calls >= Math.ceil(this.#callsPerWeight * (this.#weights[slot] as number));
  }

  #count(slot: number, calls: number): void {
    this.#totalCalls += calls - (this.#calls[slot] as number);
    this.#calls[slot] = calls;
  }

  #classFor(exponent: number): WeightClass {
    const known = this.#classes.find((weights) => weights.exponent === exponent);
    if (known) return known;
    const added = { exponent, cells: new HashCells(), weight: 0 };
    this.#classes.push(added);
    return added;
  }

  #sum(): void {
    this.#totalWeight = 0;
    for (const { weight } of this.#classes) this.#totalWeight += weight;
  }
}
