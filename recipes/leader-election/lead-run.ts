import { asError, type Clock, onAbort, within } from "../../src/internal/index.ts";
import { type Candidacy, type Contest, FencedOutError } from "../candidacy/index.ts";
import type { Health } from "./health.ts";
import { RunningTerm } from "./running-term.ts";
import type { Term } from "./term.ts";

/** Work that has not settled this long after its term was lost ignores its signal. */
const LEAST_GRACE_MS = 1_000;

export interface LeadParts<T> {
  readonly contest: Contest;
  readonly clock: Clock;
  readonly candidate: string;
  readonly health: Health;
  readonly work: (term: Term) => Promise<T> | T;
  onElected(term: Term): void;
  onLost(error: Error): void;
  onResigned(): void;
  /** The work of a term goes on although its key is gone, or about to go. */
  onOverdue(term: Term): void;
  /** The campaign ended by what a retry cannot mend. */
  onFailed(error: Error): void;
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
 * A term is left only when its work has settled or its lease has run out, and the next campaign begins only when the work
 * has settled: two terms of one candidate never overlap.
 */
export class LeadRun<T> {
  readonly #parts: LeadParts<T>;
  readonly #stop = new AbortController();
  readonly #settled: Promise<unknown>;
  readonly result: Promise<T>;
  #term: RunningTerm | undefined;
  /** Whether it was elected before: what etcd refuses later is mended there. */
  #wasElected = false;

  constructor(parts: LeadParts<T>) {
    this.#parts = parts;
    // A moment later: whoever is asked for his health may end it already.
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
    const { health, contest } = this.#parts;
    const over = new AbortController();
    void health.run(over.signal);
    try {
      for (;;) {
        const candidacy = await this.#elected();
        const outcome = await this.#lead(candidacy);
        this.#term = undefined;
        if (!outcome) continue;
        if ("error" in outcome) throw outcome.error;
        return outcome.value;
      }
    } finally {
      over.abort(new FencedOutError("lead() is over"));
      await contest.vacated();
    }
  }

  /** Campaigns while it is healthy. */
  async #elected(): Promise<Candidacy> {
    const { contest, candidate, health, onFailed } = this.#parts;
    const { signal } = this.#stop;
    for (;;) {
      signal.throwIfAborted();
      await health.untilHealthy(signal);
      const round = new AbortController();
      const releases = [
        onAbort(signal, () => round.abort(signal.reason)),
        health.onUnhealthy(() => round.abort(unwell())),
      ];
      try {
        const candidacy = await contest.campaign(candidate, round.signal, { hasWorked: this.#wasElected });
        this.#wasElected = true;
        return candidacy;
      } catch (error) {
        signal.throwIfAborted();
        if (round.signal.aborted) continue;
        onFailed(asError(error));
        throw error;
      } finally {
        for (const release of releases) release();
      }
    }
  }

  /** Leads until the term ends and the work has settled. @returns nothing when another campaign is due */
  async #lead(candidacy: Candidacy): Promise<Outcome<T> | undefined> {
    const { contest, clock, health, onElected, onLost, onResigned, onOverdue } = this.#parts;
    const { signal } = this.#stop;
    const term = new RunningTerm(candidacy, () => contest.leave(candidacy));
    this.#term = term;
    const releases = [
      onAbort(signal, () => term.end("stopped", signal.reason)),
      health.onUnhealthy(() => term.end("unhealthy", unwell())),
    ];
    try {
      // What ended before anybody was told never was a term.
      if (term.signal.aborted) {
        await term.leave();
        return undefined;
      }
      onElected(term);
      const work = this.#work(term);
      await Promise.race([work, aborted(term.signal)]);
      const ending = term.end("done", new FencedOutError(`the term of ${term.key} is over: its work is done`));
      if (ending === "lost") onLost(asError(term.signal.reason));
      const limitMs = Math.max(term.remainingMs(), LEAST_GRACE_MS);
      await within(clock, work, limitMs, () => undefined).catch(() => onOverdue(term));
      const left = term.leave();
      if (ending !== "lost") {
        await left;
        onResigned();
      }
      const outcome = await work;
      if (ending === "stopped") throw signal.reason;
      return term.campaignsAgain ? undefined : outcome;
    } finally {
      for (const release of releases) release();
    }
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

function unwell(): FencedOutError {
  return new FencedOutError("the candidate is not healthy");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve);
  });
}
