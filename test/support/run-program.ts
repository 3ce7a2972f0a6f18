import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// A program needs JavaScript: these tests use what `npm run build` made, as the users of the package do.
const built = new URL("../../dist/esm/recipes/index.js", import.meta.url);

/** A program in a process of its own. It is killed at the end of its scope. */
export interface Program extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What it has printed so far, line by line. */
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  /** Its exit code, or the signal that ended it; undefined while it runs. */
  readonly end: number | string | undefined;
  /** Resolves to that when all that it printed is there. */
  readonly ended: Promise<number | string>;
  kill(signal?: NodeJS.Signals): void;
}

/** Runs an ES module. `etcd-recipes` in it means what was built here. */
export function runProgram(source: string, env: NodeJS.ProcessEnv = {}): Program {
  if (!existsSync(built)) throw new Error(`run \`npm run build\` first: there is no ${fileURLToPath(built)}`);
  const program = source.replaceAll('"etcd-recipes"', JSON.stringify(built.href));
  return runNode(["--input-type=module", "-e", program], env);
}

/** Runs one of `test/programs`. */
export function runProgramFile(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  return runNode([fileURLToPath(new URL(`../programs/${name}`, import.meta.url)), ...args], env);
}

/** Runs Node with these arguments. */
export function runNode(args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const errors: string[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  createInterface(child.stderr).on("line", (line) => errors.push(line));
  let end: number | string | undefined;
  const ended = once(child, "close").then(([code, signal]) => {
    end = (code ?? signal) as number | string;
    return end;
  });
  const kill = (signal: NodeJS.Signals = "SIGKILL") => void child.kill(signal);
  return {
    process: child,
    lines,
    errors,
    get end() {
      return end;
    },
    ended,
    kill,
    async [Symbol.asyncDispose]() {
      kill();
      await ended;
    },
  };
}
