import type { CallOptions, Op, TxnAnswer, TxnOptions } from "../../src/index.ts";
import { quietDeferred, showAs } from "../../src/internal/index.ts";
import { type Candidacy, FencedOutError } from "../candidacy/index.ts";
import { resolveCall } from "../option-schemas/index.ts";
import { checkCandidate } from "./options.ts";
import type { Term } from "./term.ts";

/**
 * Why a term ended. `done`: the work settled. `resigned`: it was asked to. `unhealthy`: `health` said no. `stopped`: the
 * signal of `lead()`, or `close()`. `lost`: the lease or the key is gone.
 */
export type Ending = "done" | "resigned" | "unhealthy" | "stopped" | "lost";

/** A term on the candidacy that came first. It ends once, and the first cause counts. */
export class RunningTerm implements Term {
  static {
    showAs(RunningTerm, "Term", (it) => ({ key: it.key, token: it.token, aborted: it.signal.aborted }));
  }

  readonly #candidacy: Candidacy;
  readonly #leave: () => Promise<void>;
  readonly #gone = quietDeferred<void>();
  #ending: Ending | undefined;

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

  /** Whether the candidate wants to lead again, whatever came of the work. */
  get campaignsAgain(): boolean {
    return this.#ending === undefined || this.#ending === "lost" || this.#ending === "unhealthy";
  }

  /** Resolves when its key is gone, or etcd could not be asked. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** How long the key is certain to stay, in milliseconds. */
  remainingMs(): number {
    return this.#candidacy.remainingMs();
  }

  txn(request: TxnOptions | readonly Op[], options?: CallOptions): Promise<TxnAnswer> {
    return this.#candidacy.txn(request, options);
  }

  async proclaim(value: string, options?: CallOptions): Promise<void> {
    checkCandidate("proclaim", "value", value);
    await this.#candidacy.proclaim(value, resolveCall("proclaim", options));
  }

  resign(): void {
    this.end("resigned", new FencedOutError(`the term of ${this.key} is over: it resigned`));
  }

  /** Ends it, unless it has ended. @returns why it ended */
  end(ending: Ending, reason: unknown): Ending {
    const { aborted, reason: lost } = this.signal;
    this.#ending ??= aborted ? "lost" : ending;
    this.#candidacy.end(aborted ? lost : reason);
    return this.#ending;
  }

  /** Deletes the key. Bounded. */
  async leave(): Promise<void> {
    await this.#leave();
    this.#gone.resolve();
  }
}
