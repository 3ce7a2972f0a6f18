import type { Balancer } from "./balancer.ts";

/** Each with the same probability, whatever came before: many callers spread out without knowing of each other. */
export class RandomChoice<Server> implements Balancer<Server> {
  readonly #random: () => number;

  /** @param random a number in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  pick(servers: readonly Server[]): Server {
    return servers[Math.floor(this.#random() * servers.length)] as Server;
  }
}
