import { InvalidOptionError } from "../../src/index.ts";
import { callback, optionsOf } from "../../src/internal/index.ts";
import { ArrayCache } from "./array-cache.ts";
import { ArraySubset } from "./array-subset.ts";
import type { Balancer, Outcome, PickRequest, ServersChange } from "./balancer.ts";
import { checkInner, defaultZone } from "./server-traits.ts";

export interface ZonePreferenceOptions<Server> {
  /** The own zone: not empty. */
  zone: string;
  /** The zone of a server. @default its `metadata.zone` if that is a string */
  zoneOf?: ((server: Server) => string | undefined) | undefined;
}

const checkOptions = optionsOf("ZonePreference", {
  zone: { allowed: "a text that is not empty", holds: (zone) => typeof zone === "string" && zone !== "" },
  zoneOf: callback,
});

/**
 * Lets another balancer choose among the servers of the own zone, as long as there is one; else among all. How busy
 * they are does not matter: one server that is left in a zone gets everything that comes from there.
 *
 * A pick and each server that changed cost what the other balancer costs; the first pick from an array, or after a
 * change that came without positions, O(n) besides.
 */
export class ZonePreference<Server> implements Balancer<Server> {
  readonly #inner: Balancer<Server>;
  readonly #ownOf: ArrayCache<Server, ArraySubset<Server>>;

  /** @throws InvalidOptionError */
  constructor(inner: Balancer<Server>, options: ZonePreferenceOptions<Server>) {
    checkOptions(options);
    const { zone, zoneOf = defaultZone } = options ?? {};
    if (zone === undefined) throw new InvalidOptionError("ZonePreference", "zone", "is missing: the zone to prefer");
    checkInner("ZonePreference", inner);
    this.#inner = inner;
    const isOwn = (server: Server) => zoneOf(server) === zone;
    this.#ownOf = new ArrayCache<Server, ArraySubset<Server>>({
      prepare: (servers, before) => {
        // In place, as the list changes, so that a strategy goes on where it is.
        const own = before ?? new ArraySubset<Server>();
        own.fill(servers, isOwn);
        if (before) inner.changed?.();
        return own;
      },
      update: (own, servers, positions) => {
        own.update(servers, positions, isOwn);
        inner.changed?.(own.takeChange());
        return true;
      },
    });
  }

  pick(servers: readonly Server[], request: PickRequest): Server {
    return this.#inner.pick(this.preferred(servers), request);
  }

  /** Those of the own zone, or all; an array that changes when `servers` does. */
  preferred(servers: readonly Server[]): readonly Server[] {
    const { servers: own } = this.#ownOf.get(servers);
    return own.length === 0 ? servers : own;
  }

  changed(change?: ServersChange<Server>): void {
    this.#ownOf.changed(change);
    this.#inner.changed?.(change);
  }

  started(server: Server): void {
    this.#inner.started?.(server);
  }

  ended(server: Server): void {
    this.#inner.ended?.(server);
  }

  report(server: Server, outcome: Outcome): void {
    this.#inner.report?.(server, outcome);
  }
}
