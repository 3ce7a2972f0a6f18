import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What the program has to write. */
export interface Order {
  readonly endpoints: readonly string[];
  /** How many instances there are. */
  readonly size: number;
  /** How many of them are changed, one after the other, all over the list. */
  readonly changes: number;
  /** How many changes make one txn. */
  readonly together: number;
  /** The time from one txn to the next, in milliseconds; 0: at once. */
  readonly everyMs: number;
}

/** Writes from another process, so that the CPU of this one is that of the reader alone. */
export class ChangeWriter implements AsyncDisposable {
  readonly #program: ChildProcess = fork(fileURLToPath(new URL("./writer-program.js", import.meta.url)));

  /** Resolves when all is written. */
  async write(order: Order): Promise<void> {
    const answered = once(this.#program, "message");
    this.#program.send(order);
    const [failure] = await answered;
    if (failure !== "") throw new Error(`the writer failed: ${failure}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#program, "exit");
    this.#program.disconnect();
    await exited;
  }
}
