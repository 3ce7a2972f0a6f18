import { inspect } from "node:util";
import { InvalidOptionError } from "../../src/index.ts";
import { closestName } from "../../src/internal/index.ts";
import type { Balancer, PickFunction } from "./balancer.ts";
import { RandomChoice } from "./random.ts";
import { RoundRobin } from "./round-robin.ts";

/** The strategies that have a name. */
export const balancerNames = ["round-robin", "random"] as const;

export type BalancerName = (typeof balancerNames)[number];

/** A strategy by name, a function, or a Balancer that is used for this list alone. */
export type BalancerOption<Server> = BalancerName | PickFunction<Server> | Balancer<Server>;

/** @throws InvalidOptionError for an unknown name, with the nearest known one */
export function createBalancer<Server>(what: string, option: BalancerOption<Server>): Balancer<Server> {
  if (typeof option === "function") return { pick: option };
  if (typeof option === "object" && option !== null && typeof option.pick === "function") return option;
  switch (option) {
    case "round-robin":
      return new RoundRobin();
    case "random":
      return new RandomChoice();
    default: {
      const nearest = typeof option === "string" ? closestName(option, balancerNames) : undefined;
      const hint = nearest ? `; did you mean ${JSON.stringify(nearest)}?` : "";
      const known = balancerNames.map((name) => JSON.stringify(name)).join(", ");
      throw new InvalidOptionError(
        what,
        "balancer",
        `must be ${known}, a function or a Balancer, not ${inspect(option, { depth: 0 })}${hint}`,
      );
    }
  }
}
