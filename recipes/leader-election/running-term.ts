import type { CallOptions } from "../../src/index.ts";
import { quietDeferred, showAs } from "../../src/internal/index.ts";
import { type Candidacy, type CandidacyLine, Held } from "../candidacy/internal.ts";
import { FencedOutError } from "../errors/index.ts";
import { resolveCall } from "../option-schemas/index.ts";
import { checkCandidate } from "./options.ts";
import type { Term } from "./term.ts";

/**
 * Why a term ended. `done`: the work settled. `resigned`: it was asked to. `unhealthy`: `health` said no. `stopped`:
 * the signal of `lead()`, or `close()`. `lost`: the lease or the key is gone.
 */
export type Ending = "done" | "resigned" | "unhealthy" | "stopped" | "lost";

/** A term on the candidacy that came first. It ends once, and the first cause counts. */
export class RunningTerm extends Held implements Term {
  static {
    showAs(RunningTerm, "Term", (it) => ({ key: it.key, token: it.token, aborted: it.signal.aborted }));
  }

  readonly #candidacy: Candidacy;
  readonly #gone = quietDeferred<void>();
  #ending: Ending | undefined;

  constructor(candidacy: Candidacy, line: CandidacyLine) {
    super(candidacy, line);
    this.#candidacy = candidacy;
  }

  /** Whether the candidate wants to lead again, whatever came of the work. */
  get campaignsAgain(): boolean {
    return this.#ending === undefined || this.#ending === "lost" || this.#ending === "unhealthy";
  }

  /** Resolves when its key is gone, or etcd could not be asked. */
  get gone(): Promise<void> {
    return this.#gone.promise;
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
    this.giveUp(aborted ? lost : reason);
    return this.#ending;
  }

  override async leave(): Promise<void> {
    await super.leave();
    this.#gone.resolve();
  }
}
