import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Program } from "./find-program.ts";

/**
 * A program that ends when this process does, however that ends. In a group of its own: Ctrl-C in a terminal does not take
 * it away before its clients, and what it starts ends with it.
 */
export class KeptProcess {
  readonly pid: number;
  readonly #keeper: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(keeper: ChildProcess, exited: Promise<unknown>, pid: number) {
    this.#keeper = keeper;
    this.#exited = exited;
    this.pid = pid;
  }

  /** @param logFile what it prints is added to it */
  static async start({ path, env }: Program, args: readonly string[], logFile: string): Promise<KeptProcess> {
    // The shell kills the group when its own input ends, which is when this process closes it or dies.
    const script = '"$@" >>"$LOG" 2>&1 & echo $!; cat >/dev/null; kill -9 0';
    const keeper = spawn("sh", ["-c", script, "sh", path, ...args], {
      env: { ...env, LOG: logFile },
      stdio: ["pipe", "pipe", "ignore"],
      detached: true,
    });
    const exited = once(keeper, "exit");
    if (!keeper.stdout) throw new Error("the shell has no output");
    const [line] = await once(createInterface(keeper.stdout), "line");
    return new KeptProcess(keeper, exited, Number(line));
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** As a crash would end it, with all that it has started. */
  async kill(): Promise<void> {
    this.#keeper.stdin?.end();
    await this.#exited;
  }
}
