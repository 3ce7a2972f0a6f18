import { callback, optionsOf, systemClock } from "../../src/internal/index.ts";
import type { Balancer, Outcome, ServersChange } from "./balancer.ts";
import { LatencyBook } from "./latency-book.ts";
import { ServerSlots } from "./server-slots.ts";
import type { ServerTraits } from "./server-traits.ts";
import { WeightedDraw } from "./weighted-draw.ts";

export interface P2cOptions<Server> extends ServerTraits<Server> {
  /**
   * The time constant of the latency estimate, in milliseconds: above 0. After so long without a call, a server that
   * was slow counts as e times faster. @default 10 000
   */
  decayMs?: number | undefined;
  /** A number in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
  /** Milliseconds that never run backwards. @default performance.now */
  nowMs?: (() => number) | undefined;
}

const DEFAULT_DECAY_MS = 10_000;

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
 * The power of two choices (Mitzenmacher 2001): of two servers drawn at random, in proportion to their weights, the one
 * with the lower cost, which is latency × (calls in flight for its weight + 1). The latency is a peak EWMA: it rises at
 * once and decays over `decayMs`. Two are enough to keep away from what is slow or busy, and unlike the best of all,
 * two do not send every process to one server.
 *
 * Servers that are equally fast get calls in proportion to their weights: exactly, without concurrency, and but for a
 * few percent with some. Calls in flight are whole, and one of them is much for a light server and little for a heavy
 * one, so the load of the first that was drawn counts as less by the difference.
 *
 * A failure counts as a call that took 4 times as long as usual, further ones in a row 16, 64, … up to 4096 times: a
 * server that refuses at once attracts nothing. Estimates decay without calls, so a server that was slow or failed is
 * tried again: at 4 times the usual after about 1.4 × `decayMs`, at 4096 times after 8.3, sooner when the others are
 * busy. A server of which nothing is known counts as usual; a burst to it ends with its calls in flight.
 *
 * It needs `started()`, `ended()` and `report()`: without them it is a random choice by weight. Without concurrency the
 * faster one of each two gets everything.
 *
 * A pick costs the same for any number of servers, and so does each server that changed; the first pick from an array,
 * or after a change that came without positions, O(n).
 */
export class P2c<Server> implements Balancer<Server> {
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #book: LatencyBook;
  readonly #slots: ServerSlots<Server, WeightedDraw>;

  /** @throws InvalidOptionError */
  constructor(options: P2cOptions<Server> = {}) {
    checkOptions(options);
    const { decayMs = DEFAULT_DECAY_MS, random = Math.random, nowMs = systemClock.monotonicMs } = options;
    const book = new LatencyBook(decayMs);
    this.#random = random;
    this.#nowMs = nowMs;
    this.#book = book;
    this.#slots = new ServerSlots({
      what: "P2c",
      traits: options,
      makeIndex: () => new WeightedDraw(),
      onJoin: (slot) => book.forget(slot),
      isRemembered: (slot) => book.knows(slot, nowMs()),
    });
  }

  /** @throws InvalidOptionError for a bad weight */
  pick(servers: readonly Server[]): Server {
    const view = this.#slots.view(servers);
    const { index } = view;
    const first = index.draw(this.#random);
    if (index.size === 1) return servers[view.placeOf(first)] as Server;
    const second = index.draw(this.#random, first);
    return servers[view.placeOf(this.#isCheaper(first, second, index) ? first : second)] as Server;
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

  report(server: Server, outcome: Outcome): void {
    this.#book.report(this.#slots.slotOf(server), outcome, this.#nowMs());
  }

  /** Of equals the first one is: by weight they are drawn already. */
  #isCheaper(first: number, second: number, index: WeightedDraw): boolean {
    const nowMs = this.#nowMs();
    const { typicalWeight } = index;
    const oneAtFirst = typicalWeight / index.weightOf(first);
    const oneAtSecond = typicalWeight / index.weightOf(second);
    const difference = Math.abs(oneAtFirst - oneAtSecond);
    const loadOfFirst = Math.max(0, this.#slots.callsTo(first) * oneAtFirst - difference);
    const loadOfSecond = this.#slots.callsTo(second) * oneAtSecond;
    const costOfFirst = this.#book.estimateMs(first, nowMs) * (loadOfFirst + 1);
    return costOfFirst <= this.#book.estimateMs(second, nowMs) * (loadOfSecond + 1);
  }
}
