import { ArrayCache } from "./array-cache.ts";
import type { Balancer, PickFunction, PickRequest, ServersChange } from "./balancer.ts";

/**
 * A function of the user's own as a balancer. It sees a frozen copy of the list, another one after each change: it may
 * keep the array, and know by it whether what it worked out still holds.
 */
export class PickedByFunction<Server> implements Balancer<Server> {
  readonly #pick: PickFunction<Server>;
  readonly #copies = new ArrayCache<Server, readonly Server[]>({
    prepare: (servers) => Object.freeze(servers.slice()),
  });

  constructor(pick: PickFunction<Server>) {
    this.#pick = pick;
  }

  pick(servers: readonly Server[], request: PickRequest): Server {
    const pick = this.#pick;
    return pick(this.#copies.get(servers), request);
  }

  changed(change?: ServersChange<Server>): void {
    this.#copies.changed(change);
  }
}
