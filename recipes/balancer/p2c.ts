import { callback, optionsOf, systemClock } from "../../src/internal/index.ts";
import type { Balancer, Outcome } from "./balancer.ts";
import { LatencyBook } from "./latency-book.ts";
import { checkedWeight, defaultId, defaultWeight, type ServerTraits } from "./server-traits.ts";

export interface P2cOptions<Server> extends ServerTraits<Server> {
  /**
   * The time constant of the latency estimate, in milliseconds: above 0. After so long without a call, a server that was slow
   * counts as e times faster. @default 10 000
   */
  decayMs?: number | undefined;
  /** A number in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
  /** Milliseconds that never run backwards. @default performance.now */
  nowMs?: (() => number) | undefined;
}

const DEFAULT_DECAY_MS = 10_000;
/** Pairs that are drawn while both have weight 0, before one is looked for. */
const DRAWS = 4;

const checkOptions = optionsOf("P2c", {
  id: callback,
  weight: callback,
  random: callback,
  nowMs: callback,
  decayMs: {
    allowed: "a number of milliseconds above 0",
    holds: (ms) => typeof ms === "number" && ms > 0 && ms < Number.POSITIVE_INFINITY,
  },
});

/**
 * The power of two choices (Mitzenmacher 2001): of two servers drawn at random the one with the lower cost, which is
 * latency × (calls in flight + 1) / weight. The latency is a peak EWMA: it rises at once and decays over `decayMs`. Two are
 * enough to keep away from what is slow or busy, and unlike the best of all, two do not send every process to one server.
 *
 * A failure counts as a call that took 4 times as long as usual, further ones in a row 16, 64, … up to 4096 times: a
 * server that refuses at once attracts nothing. Estimates decay without calls, so a server that was slow or failed is
 * tried again: at 4 times the usual after about 1.4 × `decayMs`, at 4096 times after 8.3, sooner when the others are busy.
 * A server of which nothing is known counts as usual; a burst to it ends with its calls in flight.
 *
 * It needs `started()`, `ended()` and `report()`: without them it is a random choice. A weight makes a server seem faster or
 * slower; it is not its share: without concurrency the faster one of each two gets everything.
 *
 * A pick costs the same for any number of servers, unless nearly all of them have weight 0, and a change costs nothing.
 */
export class P2c<Server> implements Balancer<Server> {
  readonly #idOf: (server: Server) => unknown;
  readonly #weightOf: (server: Server) => number;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #book: LatencyBook;

  /** @throws InvalidOptionError */
  constructor(options: P2cOptions<Server> = {}) {
    checkOptions(options);
    const { decayMs = DEFAULT_DECAY_MS } = options;
    this.#idOf = options.id ?? defaultId;
    this.#weightOf = options.weight ?? defaultWeight;
    this.#random = options.random ?? Math.random;
    this.#nowMs = options.nowMs ?? systemClock.monotonicMs;
    this.#book = new LatencyBook(decayMs);
  }

  /** @throws InvalidOptionError for a bad weight, when its server is drawn */
  pick(servers: readonly Server[]): Server {
    const { length } = servers;
    if (length === 1) return servers[0] as Server;
    for (let draw = 0; draw < DRAWS; draw++) {
      const first = Math.floor(this.#random() * length);
      const second = (first + 1 + Math.floor(this.#random() * (length - 1))) % length;
      const a = servers[first] as Server;
      const b = servers[second] as Server;
      const weightOfA = this.#weight(a);
      const weightOfB = this.#weight(b);
      if (weightOfA > 0 || weightOfB > 0) return this.#better(a, weightOfA, b, weightOfB);
    }
    return this.#anyWithWeight(servers);
  }

  started(server: Server): void {
    this.#book.started(this.#idOf(server), this.#nowMs());
  }

  ended(server: Server): void {
    this.#book.ended(this.#idOf(server));
  }

  report(server: Server, outcome: Outcome): void {
    this.#book.report(this.#idOf(server), outcome, this.#nowMs());
  }

  #better(a: Server, weightOfA: number, b: Server, weightOfB: number): Server {
    if (weightOfA === 0) return b;
    if (weightOfB === 0) return a;
    const nowMs = this.#nowMs();
    // Equals are chosen by chance already: they were drawn.
    const costOfA = this.#book.costOf(this.#idOf(a), nowMs) / weightOfA;
    return costOfA <= this.#book.costOf(this.#idOf(b), nowMs) / weightOfB ? a : b;
  }

  /** Nearly all have weight 0, or all: then they count alike. */
  #anyWithWeight(servers: readonly Server[]): Server {
    const start = Math.floor(this.#random() * servers.length);
    for (let step = 0; step < servers.length; step++) {
      const server = servers[(start + step) % servers.length] as Server;
      if (this.#weight(server) > 0) return server;
    }
    const other = servers[Math.floor(this.#random() * servers.length)] as Server;
    return this.#better(servers[start] as Server, 1, other, 1);
  }

  #weight(server: Server): number {
    return checkedWeight("P2c", this.#weightOf(server), server);
  }
}
