export { abortable, onAbort, sleep, within } from "./abort.ts";
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { type Clock, systemClock, type Timer } from "./clock.ts";
export { closestName } from "./closest-name.ts";
export { deadlineSignal } from "./deadline-signal.ts";
export { type Deferred, deferred, quietDeferred } from "./deferred.ts";
export { log } from "./log.ts";
export { parseOptions } from "./parse-options.ts";
export { type Runtime, systemRuntime } from "./runtime.ts";
