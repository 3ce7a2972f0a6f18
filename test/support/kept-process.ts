import { type Child, startChild } from "./child.ts";
import type { Program } from "./find-program.ts";

/**
 * A program that ends when this process does, however that ends. In a group of its own: Ctrl-C in a terminal does not
 * take it away before its clients, and what it starts ends with it.
 */
export class KeptProcess {
  readonly pid: number;
  readonly #keeper: Child;

  private constructor(keeper: Child, pid: number) {
    this.#keeper = keeper;
    this.pid = pid;
  }

  /** @param logFile what it prints is added to it */
  static async start({ path, env }: Program, args: readonly string[], logFile: string): Promise<KeptProcess> {
    // The shell kills the group when its own input ends, which is when this process closes it or dies.
    const script = '"$@" >>"$LOG" 2>&1 & echo $!; cat >/dev/null; kill -9 0';
    const keeper = startChild("sh", ["-c", script, "sh", path, ...args], {
      env: { ...env, LOG: logFile },
      detached: true,
      input: true,
    });
    return new KeptProcess(keeper, Number(await keeper.firstLine));
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** As a crash would end it, with all that it has started. */
  async kill(): Promise<void> {
    this.#keeper.process.stdin?.end();
    await this.#keeper.ended;
  }
}
