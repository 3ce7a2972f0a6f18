import type { CallOptions, Op, TxnAnswer, TxnOptions } from "../../src/index.ts";
import type { Candidacy } from "./candidacy.ts";
import type { CandidacyLine } from "./candidacy-line.ts";

/** What a candidacy that came first holds, until it is over: a term, a lock. */
export class Held {
  readonly #candidacy: Candidacy;
  readonly #line: CandidacyLine;

  constructor(candidacy: Candidacy, line: CandidacyLine) {
    this.#candidacy = candidacy;
    this.#line = line;
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

  /** It is over: `signal` aborts. The key stays until it is left, or for as long as the lease lasts. */
  giveUp(reason: unknown): void {
    this.#candidacy.end(reason);
  }

  /** Deletes the key. Bounded, and never fails. */
  leave(): Promise<void> {
    return this.#line.leave(this.#candidacy);
  }
}
