import { FencedOutError, putOp, type Term } from "etcd-recipes";
import type { Log } from "../shared/events.ts";
import { keys } from "../shared/keys.ts";

const everyMs = 1_000;

/**
 * Says in etcd what the leader is about, as long as this scope lasts, and how it ended, for operators. A leader that
 * lost its term, because it was paused for instance, is refused: what the next one says stays.
 */
export class StatusReport implements AsyncDisposable {
  readonly #term: Term;
  readonly #status: () => object;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  /** One at a time: of two that are on their way, the older one could land last. */
  #writing: Promise<void> | undefined;
  #isOver = false;

  constructor(term: Term, status: () => object, log: Log) {
    this.#term = term;
    this.#status = status;
    this.#log = log;
    this.#timer = setInterval(() => this.#tick(), everyMs);
    this.#tick();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    this.#isOver = true;
    await this.#report();
  }

  #tick(): void {
    this.#writing ??= this.#report().finally(() => {
      this.#writing = undefined;
    });
  }

  async #report(): Promise<void> {
    const { token } = this.#term;
    const report = { ...this.#status(), token, isOver: this.#isOver };
    try {
      await this.#term.txn([putOp(keys.status, JSON.stringify(report))], { timeoutMs: everyMs });
    } catch (error) {
      // While etcd is out of reach it is written again after a second.
      if (!(error instanceof FencedOutError)) return;
      clearInterval(this.#timer);
      this.#log("refused", { write: "status", token, reason: error.message });
    }
  }
}
