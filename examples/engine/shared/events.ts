import { printable } from "../../printable.ts";

/**
 * What a program of the engine says: one line for each event, on stdout. With `--json` each line is an object
 * `{ at, source, event, … }`, for programs that follow it.
 */
export type Log = (event: string, details?: Readonly<Record<string, unknown>>) => void;

export function logger(source: string, json: boolean): Log {
  return (event, details = {}) => {
    const at = new Date().toISOString();
    const line = json ? JSON.stringify({ at, source, event, ...details }) : `${at} ${source} ${event}${text(details)}`;
    console.log(json ? line : printable(line));
  };
}

function text(details: Readonly<Record<string, unknown>>): string {
  return Object.entries(details)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        ` ${name}=${typeof value === "string" && !/[\s"]/.test(value) ? value : JSON.stringify(value)}`,
    )
    .join("");
}
