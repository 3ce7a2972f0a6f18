import type { CallOptions, Op, TxnAnswer, TxnOptions } from "../../src/index.ts";
import { showAs } from "../../src/internal/index.ts";
import { type Candidacy, FencedOutError } from "../candidacy/index.ts";
import type { Lock } from "./lock.ts";

/** A lock on the candidacy that came first. */
export class HeldLock implements Lock {
  static {
    showAs(HeldLock, "Lock", (it) => ({ key: it.key, token: it.token, aborted: it.signal.aborted }));
  }

  readonly #candidacy: Candidacy;
  readonly #leave: () => Promise<void>;

  /** @param leave deletes the key; bounded, and never fails */
  constructor(candidacy: Candidacy, leave: () => Promise<void>) {
    this.#candidacy = candidacy;
    this.#leave = leave;
  }

  get signal(): AbortSignal {
    return this.#candidacy.signal;
  }

  get token(): number {
    return this.#candidacy.token;
  }

  get key(): string {
    return this.#candidacy.key;
  }

  /** How long the key is certain to stay, in milliseconds. */
  remainingMs(): number {
    return this.#candidacy.remainingMs();
  }

  txn(request: TxnOptions | readonly Op[], options?: CallOptions): Promise<TxnAnswer> {
    return this.#candidacy.txn(request, options);
  }

  /** Tells the holder that it is over, and leaves the key for as long as the lease lasts. */
  end(reason: unknown): void {
    this.#candidacy.end(reason);
  }

  async release(): Promise<void> {
    this.end(new FencedOutError(`${this.key} was released`));
    await this.#leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
