import type { Balancer } from "./balancer.ts";

/** One after the other. */
export class RoundRobin<Server> implements Balancer<Server> {
  #turn = 0;

  pick(servers: readonly Server[]): Server {
    if (this.#turn >= servers.length) this.#turn = 0;
    return servers[this.#turn++] as Server;
  }
}
