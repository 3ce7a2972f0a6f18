// The life of a process that has recipes: whether it is ready, and how it ends.

export { type ReachableAddress, reachableAddress } from "./reachable-address.ts";
export { type Readiness, type ReadinessReport, readiness, type WithStatus } from "./readiness.ts";
export { type Shutdown, shutdown } from "./shutdown.ts";
export type { ClosableRecipe, ClosableServer, ShutdownOptions } from "./shutdown-options.ts";
