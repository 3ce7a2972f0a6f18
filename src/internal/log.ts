import { format, inspect } from "node:util";
import setUpDebug from "debug/src/common.js";
import { oneLine } from "../errors/one-line.ts";
import { timestamp } from "./real-time.ts";

/** Writes one line, `%s` and `%d` filled in, if `DEBUG` asks for the topic. */
export type Log = (format: string, ...values: unknown[]) => void;

/**
 * The part of `debug` that knows which topics `DEBUG` asks for. Its front end for Node calls `require` for Node's own
 * modules, which throws in a bundle of ES modules; ours writes what it writes where stderr is no terminal.
 */
const createDebug = setUpDebug({
  colors: [0],
  useColors: () => false,
  load: () => process.env.DEBUG,
  save: () => {},
  formatArgs(args) {
    args[0] = `${timestamp()} ${this.namespace} ${String(args[0])}`;
  },
  log: (...args) => process.stderr.write(`${format(...args)}\n`),
  destroy: () => {},
});

/**
 * `log("watch")` writes under `etcd-recipes:watch`. Keys may appear; values and credentials never. What is filled in is
 * escaped, so that no key can forge a line.
 */
export function log(topic: string): Log {
  const debug = createDebug(`etcd-recipes:${topic}`);
  return (text, ...values) => {
    if (debug.enabled) debug(text, ...values.map(written));
  };
}

function written(value: unknown): string | number {
  if (typeof value === "number") return value;
  const text = value instanceof Error ? value.message : value;
  return oneLine(typeof text === "string" ? text : inspect(text, { depth: 0, breakLength: Number.POSITIVE_INFINITY }));
}
