import { asError, type Clock, onAbort, within } from "../../src/internal/index.ts";
import type { Candidacy, CandidacyLine, Standing } from "../candidacy/internal.ts";
import { FencedOutError } from "../errors/index.ts";
import type { LeaderElectionEvents } from "./election-events.ts";
import type { Health } from "./health.ts";
import { type Ending, RunningTerm } from "./running-term.ts";
import type { Term } from "./term.ts";

/** Work that has not settled this long after its term was lost ignores its signal. */
const LEAST_GRACE_MS = 1_000;

export interface LeadParts<T> {
  readonly line: CandidacyLine;
  readonly clock: Clock;
  readonly candidate: string;
  readonly health: Health;
  readonly work: (term: Term) => Promise<T> | T;
  notify<Name extends keyof LeaderElectionEvents & string>(name: Name, ...args: LeaderElectionEvents[Name]): void;
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/**
 * One call of `lead()`.
 *
 * ```
 *   unhealthy ──health: yes──▶ campaigning ──first in line──▶ leading ──work settled──▶ leaving ──key gone──▶ settled
 *       ▲                          │  ▲                          │ resign(), stop()        ▲
 *       └──────health: no──────────┘  │                          ├──work settled, or deadline──┘
 *                                     └──work settled──── lost, or health: no
 * ```
 *
 * A term is left only when its work has settled or its lease has run out, and the next campaign begins only when the
 * work has settled: two terms of one candidate never overlap.
 */
export class LeadRun<T> {
  readonly #parts: LeadParts<T>;
  readonly #stop = new AbortController();
  readonly #settled: Promise<unknown>;
  readonly result: Promise<T>;
  #term: RunningTerm | undefined;
  readonly #standing: Standing = { wasInLine: false };

  constructor(parts: LeadParts<T>) {
    this.#parts = parts;
    // A moment later: the health check may end it already.
    this.result = Promise.resolve().then(() => this.#run());
    this.#settled = this.result.catch(() => {});
  }

  /** The term that lasts, if one does. */
  get term(): RunningTerm | undefined {
    return this.#term?.signal.aborted === false ? this.#term : undefined;
  }

  /** Ends the term, and the campaign for another: `result` rejects with `reason` once the work has settled. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  /** Ends the term, and `result` settles as its work does. Without a term this is the end of the campaign. */
  resign(): void {
    if (this.term) this.term.resign();
    else if (!this.#term || this.#term.campaignsAgain) this.stop(new FencedOutError("resigned before it was elected"));
  }

  /** Resolves when nothing of it stands in etcd any more, as far as etcd answers. The work may go on. */
  async gone(): Promise<void> {
    await (this.#term?.gone ?? this.#settled);
  }

  async #run(): Promise<T> {
    const { health, line } = this.#parts;
    const over = new AbortController();
    void health.run(over.signal);
    try {
      for (;;) {
        this.#stop.signal.throwIfAborted();
        await health.untilHealthy(this.#stop.signal);
        const candidacy = await this.#campaign();
        const outcome = candidacy && (await this.#lead(candidacy));
        this.#term = undefined;
        if (!outcome) continue;
        if ("error" in outcome) throw outcome.error;
        return outcome.value;
      }
    } finally {
      over.abort(new FencedOutError("lead() is over"));
      await line.vacated();
    }
  }

  /** Campaigning, until it is first in line. @returns nothing when it is not healthy any more */
  async #campaign(): Promise<Candidacy | undefined> {
    const { line, candidate, notify } = this.#parts;
    const campaign = new AbortController();
    const release = this.#onEnd((_, reason) => campaign.abort(reason));
    try {
      return await line.campaign(candidate, campaign.signal, { standing: this.#standing });
    } catch (error) {
      this.#stop.signal.throwIfAborted();
      if (campaign.signal.aborted) return undefined;
      notify("failed", asError(error));
      throw error;
    } finally {
      release();
    }
  }

  /** Leading, then leaving. @returns what came of the work; nothing when another campaign is due */
  async #lead(candidacy: Candidacy): Promise<Outcome<T> | undefined> {
    const { line, notify } = this.#parts;
    const term = new RunningTerm(candidacy, line);
    this.#term = term;
    const release = this.#onEnd((ending, reason) => term.end(ending, reason));
    try {
      if (term.signal.aborted) {
        // It ended before any listener heard of it, so it never was a term.
        await term.leave();
        return undefined;
      }
      notify("elected", term);
      const work = this.#work(term);
      await Promise.race([work, aborted(term.signal)]);
      const ending = term.end("done", new FencedOutError(`the term of ${term.key} is over: its work is done`));
      await this.#leave(term, ending, work);
      const outcome = await work;
      if (ending === "stopped") throw this.#stop.signal.reason;
      return term.campaignsAgain ? undefined : outcome;
    } finally {
      release();
    }
  }

  /** The key is deleted when the work has settled, or when its lease has run out. */
  async #leave(term: RunningTerm, ending: Ending, work: Promise<unknown>): Promise<void> {
    const { clock, notify } = this.#parts;
    const isLost = ending === "lost";
    if (isLost) notify("lost", asError(term.signal.reason));
    const limitMs = Math.max(term.remainingMs(), LEAST_GRACE_MS);
    await within(clock, work, limitMs, () => undefined).catch(() => notify("overdue", term));
    const left = term.leave();
    // A lost one is left in the background: `lost` was emitted already.
    if (isLost) return;
    await left;
    notify("resigned");
  }

  /** Calls `end` when the candidate is stopped, or not healthy any more. The returned function takes it off. */
  #onEnd(end: (ending: "stopped" | "unhealthy", reason: unknown) => void): () => void {
    const { signal } = this.#stop;
    const releases = [
      onAbort(signal, () => end("stopped", signal.reason)),
      this.#parts.health.onUnhealthy(() => end("unhealthy", new FencedOutError("the candidate is not healthy"))),
    ];
    return () => {
      for (const release of releases) release();
    };
  }

  async #work(term: RunningTerm): Promise<Outcome<T>> {
    try {
      // A listener of `elected` may have ended it.
      term.signal.throwIfAborted();
      return { value: await this.#parts.work(term) };
    } catch (error) {
      return { error };
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve);
  });
}
