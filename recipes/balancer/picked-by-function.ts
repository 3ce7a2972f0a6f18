import { ArrayCache } from "./array-cache.ts";
import type { Balancer, PickFunction, PickRequest } from "./balancer.ts";

/**
 * A function of the user's own as a balancer. It sees a frozen copy of the list, another one after each change: it may keep the
 * array, and know by it whether what it worked out still holds.
 */
export class PickedByFunction<Server> implements Balancer<Server> {
  readonly #pick: PickFunction<Server>;
  readonly #copies = new ArrayCache<Server, readonly Server[]>((servers) => this.#copyOf(servers));
  /** Also of a list that retries have driven out of `#copies`. */
  #made = new WeakMap<readonly Server[], readonly Server[]>();

  constructor(pick: PickFunction<Server>) {
    this.#pick = pick;
  }

  pick(servers: readonly Server[], request: PickRequest): Server {
    const pick = this.#pick;
    return pick(this.#copies.get(servers), request);
  }

  changed(): void {
    this.#copies.changed();
    this.#made = new WeakMap();
  }

  #copyOf(servers: readonly Server[]): readonly Server[] {
    const made = this.#made.get(servers);
    if (made?.length === servers.length) return made;
    const copy = Object.freeze(servers.slice());
    this.#made.set(servers, copy);
    return copy;
  }
}
