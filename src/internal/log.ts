import { inspect } from "node:util";
import createDebug from "debug";
import { oneLine } from "../errors/one-line.ts";

/** Writes one line, `%s` and `%d` filled in, if somebody asked for the topic by `DEBUG`. */
export type Log = (format: string, ...values: unknown[]) => void;

/**
 * `log("watch")` writes under `etcd-recipes:watch`. Keys may appear; values and credentials never. What is filled in is
 * escaped, so that no key can forge a line.
 */
export function log(topic: string): Log {
  const debug = createDebug(`etcd-recipes:${topic}`);
  return (format, ...values) => {
    if (debug.enabled) debug(format, ...values.map(written));
  };
}

function written(value: unknown): string | number {
  if (typeof value === "number") return value;
  const text = value instanceof Error ? value.message : value;
  return oneLine(typeof text === "string" ? text : inspect(text, { depth: 0, breakLength: Number.POSITIVE_INFINITY }));
}
