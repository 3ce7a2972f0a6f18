import { type KeyHash, mix } from "./key-hash.ts";
import { roomFor } from "./typed-arrays.ts";

/** From so many places each key looks for a server. */
export const PROBES = 8;
/** Positions have so many bits. */
export const BITS = 32;
const CIRCLE = 2 ** BITS;
/** Seven bits of its lot decide whether a server can be found from a place, each one out of eight. */
const LOT_BITS = 56;
/** One of so many servers can be found from a place. */
export const THINNED = 2 ** 7;

/** A search for the server of a key: what it has found, and what it does not take. */
export interface Search {
  readonly refuses: (slot: number) => boolean;
  /** −1: nothing. */
  slot: number;
  /** The least of all so far. */
  score: number;
  /** That of the slot, which decides between equal scores. */
  position: number;
}

/** As many servers as there are bits in a number, so that one bit of all their lots is one number. */
const ROOM = 32;
/** Above that a cell with more than 32 is likely. */
const MOST_MEAN = 14;
/** Below that there are too many cells. */
const LEAST_MEAN = 2;
/** More cells than this for each server are of no help to those that lie at the same place. */
const MOST_CELLS_EACH = 4;

/**
 * Servers by position on a circle of 2^32, in cells: those whose positions have the same leading bits. A change costs
 * the same for any number of servers, on average.
 *
 * The lots of a cell are kept by bits: the first bits of all as one number, then the second ones, and so on. So which
 * of them win is asked for all servers of a cell at once.
 */
export class HashCells {
  #bits = 0;
  #size = 0;
  /** Which places of each cell are taken, as bits. */
  #taken = new Int32Array(1);
  #lotBits = new Int32Array(LOT_BITS);
  #positions = new Int32Array(ROOM);
  #weights = new Float64Array(ROOM);
  #slots = new Int32Array(ROOM);
  #lots = new Int32Array(ROOM);
  /** Where the server of a slot is, of all places of all cells. */
  #places = new Int32Array(0);

  get size(): number {
    return this.#size;
  }

  /** The number of leading bits that distinguish the cells. */
  get bits(): number {
    return this.#bits;
  }

  add(slot: number, { high: position, low: lot }: KeyHash, weight: number): void {
    if (this.#size >= this.#taken.length * MOST_MEAN) this.#rebuild(this.#bits + 1);
    let cell = this.#cellOf(position);
    while (this.#taken[cell] === -1 && this.#taken.length < this.#size * MOST_CELLS_EACH) {
      this.#rebuild(this.#bits + 1);
      cell = this.#cellOf(position);
    }
    // Only when more have the same hash than anything but intent explains: then it is found less often than it should
    // be.
    while (this.#taken[cell] === -1) cell = (cell + 1) % this.#taken.length;
    this.#write(cell * ROOM + lowestBit(~(this.#taken[cell] as number)), slot, position, lot, weight);
    this.#size++;
  }

  delete(slot: number): void {
    const place = this.#places[slot] as number;
    const cell = Math.floor(place / ROOM);
    this.#taken[cell] = (this.#taken[cell] as number) & ~(1 << (place % ROOM));
    this.#size--;
    if (this.#bits > 0 && this.#size < this.#taken.length * LEAST_MEAN) this.#rebuild(this.#bits - 1);
  }

  setWeight(slot: number, weight: number): void {
    this.#weights[this.#places[slot] as number] = weight;
  }

  /**
   * Looks from the places of a key at the cells around each whose distance has no more than `shift` bits; with `flip`
   * 1, at their neighbours instead, with which they make up the cells of one bit more. Of the servers whose lot wins,
   * and that are not refused, the one with the least score goes to `search`: the XOR of positions over the weight.
   *
   * @param lap whatever it is, places and lots are others; each further one adds a circle to the distance
   */
  look(search: Search, { high, low }: KeyHash, shift: number, flip: number, lap: number): void {
    const taken = this.#taken;
    const lotBits = this.#lotBits;
    const drop = BITS - this.#bits;
    for (let probe = lap * PROBES; probe < (lap + 1) * PROBES; probe++) {
      const from = mix(high, probe);
      const drawn = mix(low, from);
      const near = drop === BITS ? 0 : from >>> drop;
      const first = ((near >>> shift) ^ flip) << shift;
      for (let cell = first; cell < first + (1 << shift); cell++) {
        const begin = cell * LOT_BITS;
        // Of each eight bits one counts, and it must be as drawn. (Written out: a loop takes twice as long.)
        let winning = (taken[cell] as number) & ((lotBits[begin + (drawn & 7)] as number) ^ ((drawn << 10) >> 31));
        winning &= (lotBits[begin + 8 + ((drawn >>> 3) & 7)] as number) ^ ((drawn << 9) >> 31);
        winning &= (lotBits[begin + 16 + ((drawn >>> 6) & 7)] as number) ^ ((drawn << 8) >> 31);
        winning &= (lotBits[begin + 24 + ((drawn >>> 9) & 7)] as number) ^ ((drawn << 7) >> 31);
        winning &= (lotBits[begin + 32 + ((drawn >>> 12) & 7)] as number) ^ ((drawn << 6) >> 31);
        winning &= (lotBits[begin + 40 + ((drawn >>> 15) & 7)] as number) ^ ((drawn << 5) >> 31);
        winning &= (lotBits[begin + 48 + ((drawn >>> 18) & 7)] as number) ^ ((drawn << 4) >> 31);
        for (; winning !== 0; winning &= winning - 1) {
          this.#meet(search, cell * ROOM + lowestBit(winning), from, lap * CIRCLE);
        }
      }
    }
  }

  #meet(search: Search, place: number, from: number, offset: number): void {
    const position = this.#positions[place] as number;
    const score = (offset + ((position ^ from) >>> 0)) / (this.#weights[place] as number);
    if (score > search.score || (score === search.score && position >= search.position)) return;
    const slot = this.#slots[place] as number;
    if (search.refuses(slot)) return;
    search.slot = slot;
    search.score = score;
    search.position = position;
  }

  #cellOf(position: number): number {
    return this.#bits === 0 ? 0 : position >>> (BITS - this.#bits);
  }

  #write(place: number, slot: number, position: number, lot: number, weight: number): void {
    const cell = Math.floor(place / ROOM);
    const bit = 1 << (place % ROOM);
    this.#taken[cell] = (this.#taken[cell] as number) | bit;
    this.#lots[place] = lot;
    const more = mix(lot, position);
    for (let at = 0; at < LOT_BITS; at++) {
      const which = cell * LOT_BITS + at;
      const bits = this.#lotBits[which] as number;
      this.#lotBits[which] = (((at < 32 ? lot : more) >>> (at % 32)) & 1) === 1 ? bits | bit : bits & ~bit;
    }
    this.#positions[place] = position;
    this.#slots[place] = slot;
    this.#places = roomFor(this.#places, slot);
    this.#places[slot] = place;
    this.#weights[place] = weight;
  }

  #rebuild(bits: number): void {
    const taken = this.#taken;
    const before = { lots: this.#lots, positions: this.#positions, weights: this.#weights, slots: this.#slots };
    this.#bits = bits;
    this.#size = 0;
    this.#taken = new Int32Array(2 ** bits);
    this.#lotBits = new Int32Array(LOT_BITS * 2 ** bits);
    this.#positions = new Int32Array(ROOM * 2 ** bits);
    this.#weights = new Float64Array(ROOM * 2 ** bits);
    this.#slots = new Int32Array(ROOM * 2 ** bits);
    this.#lots = new Int32Array(ROOM * 2 ** bits);
    for (const [cell, all] of taken.entries()) {
      for (let left = all; left !== 0; left &= left - 1) {
        const place = cell * ROOM + lowestBit(left);
        const slot = before.slots[place] as number;
        this.add(
          slot,
          { high: before.positions[place] as number, low: before.lots[place] as number },
          before.weights[place] as number,
        );
      }
    }
  }
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
