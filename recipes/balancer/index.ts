export type { Balancer, Outcome, PickFunction, PickRequest } from "./balancer.ts";
export { ConsistentHash, type ConsistentHashOptions } from "./consistent-hash.ts";
export {
  type BalancerName,
  type BalancerOption,
  type BalancerSettings,
  balancerNames,
  createBalancer,
} from "./create-balancer.ts";
export { LeastRequests, type LeastRequestsOptions } from "./least-requests.ts";
export { P2c, type P2cOptions } from "./p2c.ts";
export { RandomChoice } from "./random.ts";
export { RoundRobin, type RoundRobinOptions } from "./round-robin.ts";
export type { ServerTraits } from "./server-traits.ts";
export { SlowStart, type SlowStartOptions } from "./slow-start.ts";
export { WeightedRoundRobin, type WeightedRoundRobinOptions } from "./weighted-round-robin.ts";
export { ZonePreference, type ZonePreferenceOptions } from "./zone-preference.ts";
