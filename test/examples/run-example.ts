import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startChild } from "../support/child.ts";

/** A built example that runs as a user runs it: a process of its own, whose output is no terminal. */
export interface RunningExample extends Disposable {
  readonly process: ChildProcess;
  /** What it has printed so far, stdout and stderr. */
  readonly output: string;
  /** Resolves when it has ended and all that it printed is there. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
}

/** Starts an example, "demo/main" for instance. At the end of its scope it is killed if it still runs. */
export function runExample(
  name: string,
  { args = [], env = {} }: { args?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
): RunningExample {
  const program = fileURLToPath(new URL(`../../build/examples/${name}.js`, import.meta.url));
  if (!existsSync(program)) throw new Error(`run \`npm run build && npm run build:examples\` first: no ${program}`);
  const child = startChild(process.execPath, [program, ...args], { env: { ...process.env, ...env }, ipc: true });
  return {
    process: child.process,
    get output() {
      return child.output;
    },
    ended: child.ended.then((end) =>
      typeof end === "number" ? { code: end, signal: null } : { code: null, signal: end },
    ),
    [Symbol.dispose]: () => child.kill(),
  };
}
