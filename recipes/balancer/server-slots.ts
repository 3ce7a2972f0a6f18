import { ArrayCache } from "./array-cache.ts";
import { matchServers } from "./match-servers.ts";
import { checkedWeight, defaultId, defaultWeight, type ServerTraits } from "./server-traits.ts";

/** An array of servers as numbers, in the same order. */
export interface SlotView {
  /** As they were when it was made. */
  readonly servers: readonly unknown[];
  readonly slots: Int32Array;
  /** Checked; when all are 0, all are 1. */
  readonly weights: Float64Array;
  readonly totalWeight: number;
  readonly allZero: boolean;
}

/** Told when a server that was unknown gets a slot, which another one may have had. */
export type OnJoin<Server> = (slot: number, server: Server, id: unknown) => void;

const FIRST_CAPACITY = 64;

/**
 * Gives each server a small number by its id, its slot, so that a strategy that looks at all servers for every pick can
 * do so over typed arrays; and counts the calls in flight by slot. A server keeps its slot while it is in one of the
 * arrays that were used last or has a call in flight; slots of others are taken back when they are as many as those in
 * use.
 */
export class ServerSlots<Server> {
  readonly #what: string;
  readonly #idOf: (server: Server) => unknown;
  readonly #weightOf: (server: Server) => number;
  readonly #onJoin: OnJoin<Server>;
  readonly #slots = new Map<unknown, number>();
  readonly #free: number[] = [];
  readonly #views: ArrayCache<Server, SlotView> = new ArrayCache((servers, before) => this.#prepare(servers, before));
  #inFlight = new Int32Array(FIRST_CAPACITY);
  #sweepAbove = FIRST_CAPACITY;

  /** @param what the strategy, for errors */
  constructor(what: string, traits: ServerTraits<Server>, onJoin: OnJoin<Server> = () => {}) {
    this.#what = what;
    this.#idOf = traits.id ?? defaultId;
    this.#weightOf = traits.weight ?? defaultWeight;
    this.#onJoin = onJoin;
  }

  /** How many servers are remembered. */
  get size(): number {
    return this.#slots.size;
  }

  /** As many as there are slots, used or not; it only grows. */
  get capacity(): number {
    return this.#inFlight.length;
  }

  /** Calls in flight by slot. To be asked for anew after each `view()`: it is replaced when it grows. */
  get inFlight(): Int32Array {
    return this.#inFlight;
  }

  /** @throws InvalidOptionError for a bad weight */
  view(servers: readonly Server[]): SlotView {
    return this.#views.get(servers);
  }

  changed(): void {
    this.#views.changed();
  }

  /** The views that are kept at the moment, the latest first. */
  views(): readonly SlotView[] {
    return this.#views.kept();
  }

  /** @returns the server's slot */
  started(server: Server): number {
    const slot = this.#slotOf(this.#idOf(server), server);
    this.#inFlight[slot] = (this.#inFlight[slot] ?? 0) + 1;
    return slot;
  }

  /**
   * An end without a beginning counts for nothing.
   *
   * @returns the server's slot, if it has one
   */
  ended(server: Server): number | undefined {
    const slot = this.#slots.get(this.#idOf(server));
    if (slot !== undefined) this.#inFlight[slot] = Math.max(0, (this.#inFlight[slot] ?? 0) - 1);
    return slot;
  }

  #prepare(servers: readonly Server[], before = this.#views.kept()[0]): SlotView {
    const { length } = servers;
    const matches = matchServers<unknown>(servers, before?.servers ?? []);
    const slots = new Int32Array(length);
    const weights = new Float64Array(length);
    let totalWeight = 0;
    for (let at = 0; at < length; at++) {
      const match = matches[at] as number;
      if (before !== undefined && match >= 0) {
        slots[at] = before.slots[match] as number;
        weights[at] = before.allZero ? 0 : (before.weights[match] as number);
      } else {
        const server = servers[at] as Server;
        weights[at] = checkedWeight(this.#what, this.#weightOf(server), server);
        slots[at] = this.#slotOf(this.#idOf(server), server);
      }
      totalWeight += weights[at] as number;
    }
    const allZero = totalWeight === 0;
    if (allZero) weights.fill(1);
    const view = { servers: servers.slice(), slots, weights, totalWeight: allZero ? length : totalWeight, allZero };
    if (this.#slots.size > this.#sweepAbove) this.#sweep(view);
    return view;
  }

  #slotOf(id: unknown, server: Server): number {
    const known = this.#slots.get(id);
    if (known !== undefined) return known;
    const slot = this.#free.at(-1) ?? this.#slots.size;
    if (slot >= this.#inFlight.length) this.#grow();
    // It may throw; then nothing has happened.
    this.#onJoin(slot, server, id);
    this.#free.pop();
    this.#inFlight[slot] = 0;
    this.#slots.set(id, slot);
    return slot;
  }

  #grow(): void {
    const larger = new Int32Array(this.#inFlight.length * 2);
    larger.set(this.#inFlight);
    this.#inFlight = larger;
  }

  #sweep(latest: SlotView): void {
    const wanted = new Uint8Array(this.#inFlight.length);
    for (const { slots } of [latest, ...this.#views.kept()]) for (const slot of slots) wanted[slot] = 1;
    for (const [id, slot] of this.#slots) {
      if (wanted[slot] === 1 || (this.#inFlight[slot] ?? 0) > 0) continue;
      this.#slots.delete(id);
      this.#free.push(slot);
    }
    this.#sweepAbove = Math.max(FIRST_CAPACITY, this.#slots.size * 2);
  }
}
