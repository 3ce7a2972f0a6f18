export {
  callback,
  checkPlainObject,
  closestName,
  isPlainObject,
  type OptionCheck,
  optionsOf,
  shown,
  unawaited,
  unknownOption,
} from "../errors/index.ts";
export { abortable, onAbort, sleep, within } from "./abort.ts";
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { type Clock, systemClock, type Timer } from "./clock.ts";
export { deadlineSignal } from "./deadline-signal.ts";
export { type Deferred, deferred, quietDeferred } from "./deferred.ts";
export { log } from "./log.ts";
export { parseOptions } from "./parse-options.ts";
export { queueMicrotask, setImmediate } from "./real-time.ts";
export { type Runtime, systemRuntime } from "./runtime.ts";
