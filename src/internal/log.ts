import createDebug from "debug";

/** Writes one line, `%s` and `%d` filled in, if somebody asked for the topic by `DEBUG`. */
export type Log = (format: string, ...values: unknown[]) => void;

/** `log("watch")` writes under `etcd-recipes:watch`. Keys may appear; values and credentials never. */
export function log(topic: string): Log {
  return createDebug(`etcd-recipes:${topic}`);
}
