import { type ChildProcess, type ExecFileOptions, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** A program in a process of its own. It is killed at the end of its scope. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What it has printed so far, line by line. */
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  /** Both, as it came. */
  readonly output: string;
  /** Its exit code, or the signal that ended it; undefined while it runs. */
  readonly end: number | string | undefined;
  /** Resolves to that when all that it printed is there. */
  readonly ended: Promise<number | string>;
  /** Resolves to the first line that it prints. */
  readonly firstLine: Promise<string>;
  kill(signal?: NodeJS.Signals): void;
}

export interface ChildOptions {
  /** @default that of this process */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Whether it leads a group of its own. @default false */
  readonly detached?: boolean | undefined;
  /** Whether it has an input, which ends with this process at the latest. @default false */
  readonly input?: boolean | undefined;
  /** Whether it and this process can send messages. @default false */
  readonly ipc?: boolean | undefined;
}

export function startChild(path: string, args: readonly string[], options: ChildOptions = {}): Child {
  const { env, detached = false, input = false, ipc = false } = options;
  const child = spawn(path, args, {
    env,
    detached,
    stdio: [input ? "pipe" : "ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
  });
  const lines: string[] = [];
  const errors: string[] = [];
  let output = "";
  let end: number | string | undefined;
  const ended = once(child, "close").then(([code, signal]) => {
    end = (code ?? signal) as number | string;
    return end;
  });
  const firstLine = new Promise<string>((resolve) => {
    for (const [stream, to] of [
      [child.stdout, lines],
      [child.stderr, errors],
    ] as const) {
      if (!stream) throw new Error(`${path} has no output`);
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
      createInterface(stream).on("line", (line) => {
        to.push(line);
        if (to === lines) resolve(line);
      });
    }
  });
  const kill = (signal: NodeJS.Signals = "SIGKILL") => void child.kill(signal);
  return {
    process: child,
    lines,
    errors,
    get output() {
      return output;
    },
    get end() {
      return end;
    },
    ended,
    firstLine,
    kill,
    async [Symbol.asyncDispose]() {
      kill();
      await ended;
    },
  };
}

/** Runs a program to its end, which may be a failure. */
export async function outcomeOfRun(
  path: string,
  args: readonly string[],
  options: ExecFileOptions & { readonly encoding?: "utf8" },
): Promise<{ readonly code: number; readonly stdout: string }> {
  try {
    return { code: 0, ...(await run(path, args, options)) };
  } catch (error) {
    const { code, stdout } = error as { code?: unknown; stdout: string };
    return { code: Number(code), stdout };
  }
}

/** Runs a program to its end. @throws an Error with `stdout`, `stderr` and `code` when that is not 0 */
export const run = promisify(execFile);
