import { callback, optionsOf } from "../../src/internal/index.ts";
import type { Balancer } from "./balancer.ts";

export interface RoundRobinOptions {
  /**
   * A number in [0, 1): it begins at a random server, so that processes that start together do not all begin with the
   * same one. @default none: it begins with the first
   */
  random?: (() => number) | undefined;
}

const checkOptions = optionsOf("RoundRobin", { random: callback });

/**
 * One after the other, in the order of the array; weights do not count. Each array has a turn of its own, that of a
 * list which changes in place goes on, and each further array begins one server later than the one before. So the
 * retries of a server that fails, each among the others, spread over these, and take no turn of the list away.
 */
export class RoundRobin<Server> implements Balancer<Server> {
  readonly #random: (() => number) | undefined;
  readonly #turns = new WeakMap<readonly Server[], { next: number }>();
  #latest: { readonly servers: readonly Server[]; readonly turn: { next: number } } | undefined;
  /** Where the next array begins that is not known; undefined before the first. */
  #start: number | undefined;

  /** @throws InvalidOptionError */
  constructor(options: RoundRobinOptions = {}) {
    checkOptions(options);
    this.#random = options.random;
  }

  pick(servers: readonly Server[]): Server {
    const turn = this.#latest?.servers === servers ? this.#latest.turn : this.#turnOf(servers);
    if (turn.next >= servers.length) turn.next = 0;
    return servers[turn.next++] as Server;
  }

  #turnOf(servers: readonly Server[]): { next: number } {
    let turn = this.#turns.get(servers);
    if (!turn) {
      this.#start ??= this.#random ? Math.floor(this.#random() * servers.length) : 0;
      turn = { next: this.#start++ % servers.length };
      this.#turns.set(servers, turn);
    }
    this.#latest = { servers, turn };
    return turn;
  }
}
