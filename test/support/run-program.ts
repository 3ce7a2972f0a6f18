import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// A program needs JavaScript: these tests use what `npm run build` made, as the users of the package do.
const built = new URL("../../dist/recipes/index.js", import.meta.url);

export interface Program {
  readonly process: ChildProcess;
  /** What it has printed so far, line by line. */
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  kill(signal?: NodeJS.Signals): void;
}

/** Runs an ES module in a process of its own. `etcd-recipes` in it means what was built here. */
export function runProgram(source: string, env: NodeJS.ProcessEnv = {}): Program {
  if (!existsSync(built)) throw new Error(`run \`npm run build\` first: there is no ${fileURLToPath(built)}`);
  const program = source.replaceAll('"etcd-recipes"', JSON.stringify(built.href));
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const errors: string[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  createInterface(child.stderr).on("line", (line) => errors.push(line));
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { process: child, lines, errors, ended, kill: (signal = "SIGKILL") => void child.kill(signal) };
}
