// What other recipes use of this room, and its users do not see.
export { type BalancerSettings, createBalancer } from "./create-balancer.ts";
