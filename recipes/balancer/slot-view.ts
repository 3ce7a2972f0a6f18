import { roomFor } from "./typed-arrays.ts";

/** What a strategy keeps of the servers of one array, by slot, in an order that it can pick from. */
export interface SlotIndex {
  /** It is there, with this weight, above 0; also when it was. */
  set(slot: number, weight: number): void;
  /** It is gone, or has no weight; also when it was not there. */
  delete(slot: number): void;
  /** Calls to it began or ended. */
  callsChanged?(slot: number, by: number): void;
}

/** A server as its strategy sees it. */
export interface Slot {
  readonly slot: number;
  /** Checked. */
  readonly weight: number;
}

/** Says which slot a server has. It may throw. */
export type SlotOf = (server: unknown) => Slot;

/**
 * Which server stands where in one array, and the index that its strategy picks from. Weights of 0 are not in the
 * index; when all are 0, all are 1.
 */
export class SlotView<Index extends SlotIndex> {
  readonly index: Index;
  /** The array as it was. */
  readonly #servers: unknown[] = [];
  readonly #slots: number[] = [];
  readonly #weights: number[] = [];
  /** Where the server of a slot stands; −1: not in this array. */
  #places = new Int32Array(0);
  /** How many have a weight above 0. */
  #weighing = 0;
  /** Several of one id: the last one counts, and only a look at all shows who is left when one of them goes. */
  #hasTwins = false;

  constructor(index: Index) {
    this.index = index;
  }

  get slots(): readonly number[] {
    return this.#slots;
  }

  placeOf(slot: number): number {
    return this.#places[slot] as number;
  }

  has(slot: number): boolean {
    return slot < this.#places.length && (this.#places[slot] as number) >= 0;
  }

  /**
   * Looks at all. It throws what `slotOf` throws, and then nothing has happened.
   *
   * @param sameSlots whether what was in it has the slots of before
   */
  replace(servers: readonly unknown[], slotOf: SlotOf, sameSlots: boolean): void {
    const known = new Map<unknown, number>();
    for (const [at, server] of this.#servers.entries()) if (servers[at] !== server) known.set(server, at);
    const next = servers.map((server, at): Slot => {
      if (!sameSlots) return slotOf(server);
      const before = this.#servers[at] === server ? at : known.get(server);
      if (before === undefined) return slotOf(server);
      return { slot: this.#slots[before] as number, weight: this.#weights[before] as number };
    });
    const gone = new Set(this.#slots);
    for (const slot of gone) {
      this.#places[slot] = -1;
      // It may be another server's by now, of which the index knows nothing.
      if (!sameSlots) this.index.delete(slot);
    }
    this.#servers.length = 0;
    this.#slots.length = 0;
    this.#weights.length = 0;
    this.#weighing = 0;
    this.#hasTwins = false;
    for (const [at, { slot, weight }] of next.entries()) {
      this.#put(at, servers[at], slot, weight);
      gone.delete(slot);
    }
    for (const slot of gone) this.index.delete(slot);
    this.#fillIndex();
  }

  /**
   * Looks at the positions that changed, and at those by which the array grew or shrank. It throws what `slotOf`
   * throws, and then nothing has happened.
   *
   * @returns whether that was enough; else `replace()` must follow
   */
  update(servers: readonly unknown[], positions: ReadonlySet<number>, slotOf: SlotOf): boolean {
    if (this.#hasTwins) return false;
    const before = this.#servers.length;
    const { length } = servers;
    const changed = new Set(positions);
    for (let at = length; at < before; at++) changed.add(at);
    for (let at = before; at < length; at++) changed.add(at);
    const placed: { readonly at: number; readonly slot: Slot }[] = [];
    for (const at of changed) if (at < length) placed.push({ at, slot: slotOf(servers[at]) });
    const wasWeightless = this.#weighing === 0;
    const taken: number[] = [];
    for (const at of changed) if (at < before) taken.push(this.#take(at));
    this.#servers.length = Math.min(before, length);
    this.#slots.length = Math.min(before, length);
    this.#weights.length = Math.min(before, length);
    placed.sort((a, b) => a.at - b.at);
    for (const { at, slot } of placed) this.#put(at, servers[at], slot.slot, slot.weight);
    // Also before `replace()`, which knows only those that stand here now.
    for (const slot of taken) if (!this.has(slot)) this.index.delete(slot);
    if (this.#hasTwins) return false;
    if (wasWeightless !== (this.#weighing === 0)) this.#fillIndex();
    else for (const { slot } of placed) this.#toIndex(slot.slot, slot.weight);
    return true;
  }

  #put(at: number, server: unknown, slot: number, weight: number): void {
    this.#servers[at] = server;
    this.#slots[at] = slot;
    this.#weights[at] = weight;
    if (weight > 0) this.#weighing++;
    this.#places = roomFor(this.#places, slot, -1);
    if ((this.#places[slot] as number) >= 0) this.#hasTwins = true;
    this.#places[slot] = at;
  }

  /** @returns the slot that stood there */
  #take(at: number): number {
    const slot = this.#slots[at] as number;
    if ((this.#weights[at] as number) > 0) this.#weighing--;
    this.#places[slot] = -1;
    return slot;
  }

  #fillIndex(): void {
    for (const [at, slot] of this.#slots.entries()) this.#toIndex(slot, this.#weights[at] as number);
  }

  #toIndex(slot: number, weight: number): void {
    const counted = this.#weighing === 0 ? 1 : weight;
    if (counted > 0) this.index.set(slot, counted);
    else this.index.delete(slot);
  }
}
