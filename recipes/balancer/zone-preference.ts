import { InvalidOptionError } from "../../src/index.ts";
import { callback, optionsOf } from "../../src/internal/index.ts";
import { ArrayCache } from "./array-cache.ts";
import type { Balancer, Outcome, PickRequest } from "./balancer.ts";
import { checkInner, defaultZone } from "./server-traits.ts";

export interface ZonePreferenceOptions<Server> {
  /** The own zone: not empty. */
  zone: string;
  /** The zone of a server. @default its `metadata.zone` if that is a string */
  zoneOf?: ((server: Server) => string | undefined) | undefined;
}

interface Preferred<Server> {
  readonly own: Server[];
  readonly preferred: readonly Server[];
}

const checkOptions = optionsOf("ZonePreference", {
  zone: { allowed: "a text that is not empty", holds: (zone) => typeof zone === "string" && zone !== "" },
  zoneOf: callback,
});

/**
 * Lets another balancer choose among the servers of the own zone, as long as there is one; else among all. How busy they are
 * does not matter: one server that is left in a zone gets everything that comes from there.
 *
 * The first pick after a change of the list costs O(n), a further one what the other balancer costs.
 */
export class ZonePreference<Server> implements Balancer<Server> {
  readonly #inner: Balancer<Server>;
  readonly #ownOf: ArrayCache<Server, Preferred<Server>>;

  /** @throws InvalidOptionError */
  constructor(inner: Balancer<Server>, options: ZonePreferenceOptions<Server>) {
    checkOptions(options);
    const { zone, zoneOf = defaultZone } = options ?? {};
    if (zone === undefined) throw new InvalidOptionError("ZonePreference", "zone", "is missing: the zone to prefer");
    checkInner("ZonePreference", inner);
    this.#inner = inner;
    this.#ownOf = new ArrayCache((servers, before) => {
      // In place, as the list changes, so that a strategy goes on where it is.
      const own = before?.own ?? [];
      own.length = 0;
      for (const server of servers) if (zoneOf(server) === zone) own.push(server);
      return { own, preferred: own.length === 0 || own.length === servers.length ? servers : own };
    });
  }

  pick(servers: readonly Server[], request: PickRequest): Server {
    return this.#inner.pick(this.preferred(servers), request);
  }

  /** Those of the own zone, or all; an array that changes when `servers` does. */
  preferred(servers: readonly Server[]): readonly Server[] {
    return this.#ownOf.get(servers).preferred;
  }

  changed(): void {
    this.#ownOf.changed();
    this.#inner.changed?.();
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
