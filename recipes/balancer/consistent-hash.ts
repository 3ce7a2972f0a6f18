import { inspect } from "node:util";
import { InvalidOptionError } from "../../src/index.ts";
import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer, PickRequest, ServersChange } from "./balancer.ts";
import { HashSpace } from "./hash-space.ts";
import { hashKey, type KeyHash } from "./key-hash.ts";
import { ServerSlots } from "./server-slots.ts";
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
 * Requests with the same key go to the same server, in every process that has the same list, in whatever order and
 * whatever happened before. A server that joins takes its share of the keys, about 1/n, and one that leaves gives its
 * keys to all others; no other key moves. A changed weight moves keys to or from that server only. A request without a
 * key goes where a random key would.
 *
 * Shares of the keys are those of the weights, but for some 2 % (the standard deviation from server to server; it does
 * not grow with their number). How: see `HashSpace`.
 *
 * The load is bounded as in Mirrokni, Thorup and Zadimoghaddam (2016): a server with `loadFactor` times its share of
 * the calls in flight gets no more of them, and a hot key goes on to the next server in its own order. So with few
 * calls in flight two at the same time for one key go to two servers; `loadFactor: Infinity` prevents that. Only the
 * calls that `started()` reported count, those of this process.
 *
 * A pick costs about the same for any number of servers, and so does each server that changed; the first pick from an
 * array, or after a change that came without positions, O(n). Where most servers are full a pick looks further: with a
 * `loadFactor` close to 1 at many.
 */
export class ConsistentHash<Server> implements Balancer<Server> {
  readonly #slots: ServerSlots<Server, HashSpace>;
  readonly #loadFactor: number;
  readonly #random: () => number;
  /** The hashes of the ids, by slot. */
  readonly #hashes: KeyHash[] = [];

  /** @throws InvalidOptionError */
  constructor(options: ConsistentHashOptions<Server> = {}) {
    checkOptions(options);
    const { loadFactor = DEFAULT_LOAD_FACTOR, random = Math.random } = options;
    this.#loadFactor = loadFactor;
    this.#random = random;
    this.#slots = new ServerSlots({
      what: "ConsistentHash",
      traits: options,
      makeIndex: () =>
        new HashSpace(
          (slot) => this.#slots.callsTo(slot),
          (slot) => this.#hashes[slot] as KeyHash,
        ),
      onJoin: (slot, id) => {
        this.#hashes[slot] = hashOfId(id);
      },
    });
  }

  /** @throws InvalidOptionError for a bad weight, and for an id that is neither a string nor a number */
  pick(servers: readonly Server[], request: PickRequest): Server {
    const view = this.#slots.view(servers);
    const key = request.key === undefined ? this.#randomKey() : hashKey(request.key);
    return servers[view.placeOf(view.index.find(key, this.#loadFactor))] as Server;
  }

  changed(change?: ServersChange<Server>): void {
    this.#slots.changed(change);
  }

  started(server: Server): void {
    this.#slots.started(server);
  }

  ended(server: Server): void {
    this.#slots.ended(server);
  }

  #randomKey(): KeyHash {
    return { high: (this.#random() * 2 ** 32) | 0, low: (this.#random() * 2 ** 32) | 0 };
  }
}

function hashOfId(id: unknown): KeyHash {
  if (typeof id !== "string" && typeof id !== "number") {
    const problem = `must be a string or a number, the same in every process, not ${inspect(id, { depth: 0 })}`;
    throw new InvalidOptionError("ConsistentHash", "id", problem);
  }
  return hashKey(`${typeof id} ${id}`);
}
