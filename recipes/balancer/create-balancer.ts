import { InvalidOptionError } from "../../src/index.ts";
import { checkPlainObject, closestName, shown } from "../../src/internal/index.ts";
import type { Balancer, PickFunction } from "./balancer.ts";
import { ConsistentHash } from "./consistent-hash.ts";
import { LeastRequests } from "./least-requests.ts";
import { P2c } from "./p2c.ts";
import { PickedByFunction } from "./picked-by-function.ts";
import { RandomChoice } from "./random.ts";
import { RoundRobin } from "./round-robin.ts";
import { SlowStart } from "./slow-start.ts";
import { WeightedRoundRobin } from "./weighted-round-robin.ts";
import { ZonePreference } from "./zone-preference.ts";

/** The strategies that have a name. */
export const balancerNames = [
  "round-robin",
  "random",
  "weighted-round-robin",
  "p2c",
  "least-requests",
  "consistent-hash",
] as const;

export type BalancerName = (typeof balancerNames)[number];

/** A strategy by name, a function, or a Balancer that is used for this list alone. */
export type BalancerOption<Server> = BalancerName | PickFunction<Server> | Balancer<Server>;

/** What goes round a strategy, and where its time and chance come from. */
export interface BalancerSettings {
  /** Servers of this zone are preferred, see ZonePreference. @default no zone is */
  zone?: string | undefined;
  /** How long a new server takes to its full share, see SlowStart. @default 0: it has it at once */
  slowStartMs?: number | undefined;
  /** A number in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
  /** Milliseconds that never run backwards. @default performance.now */
  nowMs?: (() => number) | undefined;
}

/**
 * The strategy, and round it what the settings ask for. The named ones begin at a random place of their turn: processes
 * that start together must not all begin with the same server.
 *
 * @throws InvalidOptionError for an unknown name, with the nearest known one; for a bad setting
 */
export function createBalancer<Server>(
  what: string,
  option: BalancerOption<Server>,
  settings: BalancerSettings = {},
): Balancer<Server> {
  const given: unknown = settings;
  checkPlainObject(what, "settings", given, "an object of settings");
  const { zone, slowStartMs = 0, random = Math.random, nowMs } = settings;
  const named = strategy(what, option, random, nowMs);
  const zoned = zone === undefined ? undefined : new ZonePreference(named, { zone });
  const balancer = zoned ?? named;
  if (slowStartMs === 0) return balancer;
  // Outside, so that while the only server of the zone is new, others help out.
  const candidates = zoned && ((servers: readonly Server[]) => zoned.preferred(servers));
  return new SlowStart(balancer, { slowStartMs, candidates, random, nowMs });
}

function strategy<Server>(
  what: string,
  option: BalancerOption<Server>,
  random: () => number,
  nowMs: (() => number) | undefined,
): Balancer<Server> {
  if (typeof option === "function") return new PickedByFunction(option);
  if (typeof option === "object" && option !== null && typeof option.pick === "function") return option;
  switch (option) {
    case "round-robin":
      return new RoundRobin({ random });
    case "random":
      return new RandomChoice(random);
    case "weighted-round-robin":
      return new WeightedRoundRobin({ random });
    case "p2c":
      return new P2c({ random, nowMs });
    case "least-requests":
      return new LeastRequests({ random });
    case "consistent-hash":
      return new ConsistentHash({ random });
    default: {
      const nearest = typeof option === "string" ? closestName(option, balancerNames) : undefined;
      const hint = nearest ? `; did you mean ${JSON.stringify(nearest)}?` : "";
      const known = balancerNames.map((name) => JSON.stringify(name)).join(", ");
      throw new InvalidOptionError(
        what,
        "balancer",
        `must be ${known}, a function or a Balancer, not ${shown(option)}${hint}`,
      );
    }
  }
}
