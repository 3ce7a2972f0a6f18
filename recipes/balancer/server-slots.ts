import { ArrayCache } from "./array-cache.ts";
import type { ServersChange } from "./balancer.ts";
import { checkedWeight, defaultId, defaultWeight, type ServerTraits } from "./server-traits.ts";
import { type Slot, type SlotIndex, SlotView } from "./slot-view.ts";
import { roomFor } from "./typed-arrays.ts";

export interface ServerSlotsParts<Server, Index extends SlotIndex> {
  /** The strategy, for errors. */
  readonly what: string;
  readonly traits: ServerTraits<Server>;
  /** An empty index, for an array that is new. */
  makeIndex(): Index;
  /** A server that was unknown gets a slot, which another one may have had. It may throw. */
  onJoin?(slot: number, id: unknown): void;
  /** Whether a server is worth remembering that is in no array and has no calls in flight. @default none is */
  isRemembered?(slot: number): boolean;
}

const FIRST_SWEEP = 64;

/**
 * Gives each server a small number by its id, its slot, so that a strategy can keep what it knows of servers in typed
 * arrays; counts the calls in flight by slot; and keeps an index of each array that is picked from, which costs what
 * its `set()` costs for each server that changed.
 *
 * A server keeps its slot while it is in one of the arrays that were used last, has a call in flight or is worth
 * remembering; slots of others are taken back when they are as many as those in use.
 */
export class ServerSlots<Server, Index extends SlotIndex> {
  readonly #parts: ServerSlotsParts<Server, Index>;
  readonly #idOf: (server: Server) => unknown;
  readonly #weightOf: (server: Server) => number;
  readonly #slots = new Map<unknown, number>();
  readonly #free: number[] = [];
  readonly #views: ArrayCache<Server, SlotView<Index>>;
  /** How often slots had been taken back when a view was brought up to date. */
  readonly #sweepsOf = new WeakMap<SlotView<Index>, number>();
  #inFlight = new Int32Array(0);
  #sweeps = 0;
  #sweepAbove = FIRST_SWEEP;

  constructor(parts: ServerSlotsParts<Server, Index>) {
    this.#parts = parts;
    this.#idOf = parts.traits.id ?? defaultId;
    this.#weightOf = parts.traits.weight ?? defaultWeight;
    const slotOf = (server: unknown) => this.#look(server as Server);
    this.#views = new ArrayCache<Server, SlotView<Index>>({
      // It does not hear of calls, and its slots may be others by now.
      agesUnused: true,
      prepare: (servers, before) => {
        const view = before ?? new SlotView(parts.makeIndex());
        view.replace(servers, slotOf, this.#sweepsOf.get(view) === this.#sweeps);
        this.#sweep(view);
        return view;
      },
      update: (view, servers, positions) => {
        const isDone = view.update(servers, positions, slotOf);
        if (isDone) this.#sweep(view);
        return isDone;
      },
    });
  }

  /** How many servers are remembered. */
  get size(): number {
    return this.#slots.size;
  }

  /** The array as it is now. @throws InvalidOptionError for a bad weight; what `onJoin()` throws */
  view(servers: readonly Server[]): SlotView<Index> {
    return this.#views.get(servers);
  }

  changed(change?: ServersChange<Server>): void {
    this.#views.changed(change);
  }

  callsTo(slot: number): number {
    return slot < this.#inFlight.length ? (this.#inFlight[slot] as number) : 0;
  }

  /** The slot of a server, in an array or not. @throws what `onJoin()` throws */
  slotOf(server: Server): number {
    const id = this.#idOf(server);
    return this.#slots.get(id) ?? this.#join(id);
  }

  /** @returns the server's slot */
  started(server: Server): number {
    const slot = this.slotOf(server);
    this.#count(slot, 1);
    return slot;
  }

  /** An end without a beginning counts for nothing. */
  ended(server: Server): void {
    const slot = this.#slots.get(this.#idOf(server));
    if (slot !== undefined && this.callsTo(slot) > 0) this.#count(slot, -1);
  }

  #count(slot: number, by: number): void {
    this.#inFlight[slot] = this.callsTo(slot) + by;
    for (const view of this.#views.kept()) if (view.has(slot)) view.index.callsChanged?.(slot, by);
  }

  #look(server: Server): Slot {
    const weight = checkedWeight(this.#parts.what, this.#weightOf(server), server);
    return { slot: this.slotOf(server), weight };
  }

  #join(id: unknown): number {
    const slot = this.#free.at(-1) ?? this.#slots.size;
    // It may throw; then nothing has happened.
    this.#parts.onJoin?.(slot, id);
    this.#free.pop();
    this.#inFlight = roomFor(this.#inFlight, slot);
    this.#inFlight[slot] = 0;
    this.#slots.set(id, slot);
    return slot;
  }

  #sweep(latest: SlotView<Index>): void {
    if (this.#slots.size > this.#sweepAbove) {
      const views = [latest, ...this.#views.kept()];
      const { isRemembered } = this.#parts;
      for (const [id, slot] of this.#slots) {
        if (this.callsTo(slot) > 0 || views.some((view) => view.has(slot)) || isRemembered?.(slot)) continue;
        this.#slots.delete(id);
        this.#free.push(slot);
      }
      this.#sweeps++;
      for (const view of views) this.#sweepsOf.set(view, this.#sweeps);
      this.#sweepAbove = Math.max(FIRST_SWEEP, this.#slots.size * 2);
    }
    this.#sweepsOf.set(latest, this.#sweeps);
  }
}
