export type { Balancer, Outcome, PickFunction, PickRequest } from "./balancer.ts";
export { type BalancerName, type BalancerOption, balancerNames, createBalancer } from "./create-balancer.ts";
export { RandomChoice } from "./random.ts";
export { RoundRobin } from "./round-robin.ts";
