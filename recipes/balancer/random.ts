import { InvalidOptionError } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";
import type { Balancer } from "./balancer.ts";

/** Each with the same probability, whatever came before: many callers spread out without knowing of each other. */
export class RandomChoice<Server> implements Balancer<Server> {
  readonly #random: () => number;

  /**
   * @param random a number in [0, 1)
   * @throws InvalidOptionError
   */
  constructor(random: () => number = Math.random) {
    if (typeof random !== "function") {
      throw new InvalidOptionError("RandomChoice", "random", `must be a function, not ${shown(random)}`);
    }
    this.#random = random;
  }

  pick(servers: readonly Server[]): Server {
    return servers[Math.floor(this.#random() * servers.length)] as Server;
  }
}
