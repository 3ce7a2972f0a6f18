import { inspect } from "node:util";
import { InvalidOptionError } from "../../src/index.ts";
import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer, PickRequest } from "./balancer.ts";
import { hashKey, mix } from "./key-hash.ts";
import { ServerSlots, type SlotView } from "./server-slots.ts";
import type { ServerTraits } from "./server-traits.ts";

export interface ConsistentHashOptions<Server> extends ServerTraits<Server> {
  /**
   * No server gets a call while it has this many times its share of those in flight, rounded up: above 1; Infinity: no
   * bound, a key goes to its server however busy that is. @default 1.25
   */
  loadFactor?: number | undefined;
  /** A number in [0, 1), for requests without a key. @default Math.random */
  random?: (() => number) | undefined;
}

const DEFAULT_LOAD_FACTOR = 1.25;

const checkOptions = optionsOf("ConsistentHash", {
  id: callback,
  weight: callback,
  random: callback,
  loadFactor: { allowed: "a number above 1", holds: (factor) => typeof factor === "number" && factor > 1 },
});

/**
 * Requests with the same key go to the same server, in every process that has the same list, in whatever order and whatever
 * happened before. A server that joins takes its share of the keys, about 1/n, and one that leaves gives its keys to all
 * others; no other key moves. A changed weight moves keys to or from that server only. A request without a key goes where a
 * random key would.
 *
 * Each server has a score for each key, a hash of both, and the key goes to the highest: rendezvous hashing (Thaler and
 * Ravishankar, 1998), by weight as in Schindelhauer and Schomaker (2005). Unlike a ring of virtual nodes it needs no table that
 * a change must rebuild, shares are even to the accuracy of the hash, and any weight counts exactly; a pick costs O(n).
 *
 * The load is bounded as in Mirrokni, Thorup and Zadimoghaddam (2016): a server with `loadFactor` times its share of the calls
 * in flight gets no more of them, and a hot key goes on to the next server in its own order. So with few calls in flight
 * two at the same time for one key go to two servers; `loadFactor: Infinity` prevents that. Only the calls that `started()`
 * told of count, those of this process.
 */
export class ConsistentHash<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server>;
  readonly #loadFactor: number;
  readonly #random: () => number;
  /** The hashes of the ids, by slot. */
  #high = new Int32Array(0);
  #low = new Int32Array(0);

  /** @throws InvalidOptionError */
  constructor(options: ConsistentHashOptions<Server> = {}) {
    checkOptions(options);
    const { loadFactor = DEFAULT_LOAD_FACTOR, random = Math.random } = options;
    this.#loadFactor = loadFactor;
    this.#random = random;
    this.#slots = new ServerSlots("ConsistentHash", options, (slot, _, id) => this.#join(slot, id));
  }

  /** @throws InvalidOptionError for a bad weight, and for an id that is neither a string nor a number */
  pick(servers: readonly Server[], request: PickRequest): Server {
    const view = this.#slots.view(servers);
    const { slots, weights } = view;
    const { inFlight } = this.#slots;
    const key = request.key === undefined ? this.#randomKey() : hashKey(request.key);
    const callsPerWeight = this.#callsPerWeight(view);
    const high = this.#high;
    const low = this.#low;
    let best = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let at = 0; at < slots.length; at++) {
      const weight = weights[at] as number;
      if (weight === 0) continue;
      const slot = slots[at] as number;
      const calls = inFlight[slot] as number;
      if (calls > 0 && calls >= Math.ceil(callsPerWeight * weight)) continue;
      // The score of a server is −ln(u) / weight, where u in (0, 1) is what the hash says; the least wins. 1 − u is never
      // more than −ln(u), so that the logarithm is needed for very few.
      const complement = (mix(high[slot] as number, low[slot] as number, key.high, key.low) + 0.5) / 2 ** 32;
      if (complement / weight > least) continue;
      const score = -Math.log1p(-complement) / weight;
      if (score < least || (score === least && this.#isBefore(slot, slots[best] as number))) {
        least = score;
        best = at;
      }
    }
    return servers[best] as Server;
  }

  changed(): void {
    this.#slots.changed();
  }

  started(server: Server): void {
    this.#slots.started(server);
  }

  ended(server: Server): void {
    this.#slots.ended(server);
  }

  /** So many calls a server may have for each unit of its weight. There is always a server below that. */
  #callsPerWeight({ slots, totalWeight }: SlotView): number {
    if (this.#loadFactor === Number.POSITIVE_INFINITY) return this.#loadFactor;
    const { inFlight } = this.#slots;
    // The one that is being placed counts too.
    let calls = 1;
    for (let at = 0; at < slots.length; at++) calls += inFlight[slots[at] as number] as number;
    return (this.#loadFactor * calls) / totalWeight;
  }

  /** Scores can be equal, and the order of the array must not decide. */
  #isBefore(a: number, b: number): boolean {
    const byHigh = (this.#high[a] as number) - (this.#high[b] as number);
    return byHigh === 0 ? (this.#low[a] as number) < (this.#low[b] as number) : byHigh < 0;
  }

  #randomKey(): { high: number; low: number } {
    return { high: (this.#random() * 2 ** 32) | 0, low: (this.#random() * 2 ** 32) | 0 };
  }

  #join(slot: number, id: unknown): void {
    if (typeof id !== "string" && typeof id !== "number") {
      const problem = `must be a string or a number, the same in every process, not ${inspect(id, { depth: 0 })}`;
      throw new InvalidOptionError("ConsistentHash", "id", problem);
    }
    if (slot >= this.#high.length) {
      this.#high = grown(this.#high, this.#slots.capacity);
      this.#low = grown(this.#low, this.#slots.capacity);
    }
    const { high, low } = hashKey(`${typeof id} ${id}`);
    this.#high[slot] = high;
    this.#low[slot] = low;
  }
}

function grown(array: Int32Array<ArrayBuffer>, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity);
  larger.set(array);
  return larger;
}
