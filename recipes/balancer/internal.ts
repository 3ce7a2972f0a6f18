// What other recipes use of this room, and its users do not see.
export { createBalancer } from "./create-balancer.ts";
