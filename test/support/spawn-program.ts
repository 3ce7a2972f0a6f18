import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A child process that runs one of `test/programs`, on the built package. It ends with its scope. */
export interface SpawnedProgram extends AsyncDisposable {
  /** What it has written so far, line by line. */
  readonly lines: readonly string[];
  /** Undefined while it runs. */
  readonly exitCode: number | undefined;
  /** What it wrote to stderr. */
  readonly complaints: string;
  signal(name: NodeJS.Signals): void;
}

/** @param env added to this process's environment */
export function spawnProgram(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): SpawnedProgram {
  const path = fileURLToPath(new URL(`../programs/${name}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let output = "";
  let complaints = "";
  let exitCode: number | undefined;
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    complaints += chunk;
  });
  const closed = once(child, "close").then(([code]) => {
    exitCode = code ?? -1;
  });
  return {
    get lines() {
      return output.split("\n").slice(0, -1);
    },
    get exitCode() {
      return exitCode;
    },
    get complaints() {
      return complaints;
    },
    signal: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}
