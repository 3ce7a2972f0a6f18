import createDebug, { type Debugger } from "debug";

/** `log("watch")` writes under `etcd-recipes:watch`. Keys may appear; values and credentials never. */
export function log(topic: string): Debugger {
  return createDebug(`etcd-recipes:${topic}`);
}
