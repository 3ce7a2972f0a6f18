import type { EventEmitter } from "node:events";
import { type CallOptions, ClientClosedError, ConflictError } from "../../src/index.ts";
import { asError, channels, onAbort, runtimeOf, showAs, watchListeners } from "../../src/internal/index.ts";
import { CandidacyLine } from "../candidacy/internal.ts";
import { FencedOutError } from "../errors/index.ts";
import { resolveCall } from "../option-schemas/index.ts";
import { Notifier, type RecipeClient, recipeClient } from "../recipe/index.ts";
import type { LeaderElectionEvents } from "./election-events.ts";
import { Health } from "./health.ts";
import { LeadRun } from "./lead-run.ts";
import { type LeaderInfo, leaderInfo } from "./leader-info.ts";
import { observeLeader } from "./observe.ts";
import {
  checkCandidate,
  type LeaderElectionOptions,
  type LeadOptions,
  type ObserveOptions,
  type ResolvedElection,
  resolveElection,
  resolveLead,
  resolveObserve,
} from "./options.ts";
import type { Term } from "./term.ts";

/**
 * One candidate in an election: of all who campaign under a name, the first to register leads, the others follow in
 * order.
 *
 * ```ts
 * const election = new LeaderElection("/leader", "scheduler-1");
 * await election.lead(async (term) => {
 *   while (!term.signal.aborted) await dispatch(term);
 * }, { signal });
 * ```
 *
 * `etcdctl elect` and Go's `concurrency.Election` take part in the same election. Names must not nest: candidates of
 * `/leader/a` stand in line for `/leader` too.
 *
 * Guaranteed: no candidate begins to lead without having read its own key back, with time left on its lease; a lost
 * lease ends a candidacy for good. Reading `term.signal.aborted` compares the clock: it is true no later than etcd
 * expires the lease. Two terms of one candidate never overlap, also when its work ignores the signal. After an outage
 * in which leases were lost, no candidate waits behind a key of its own. A waiting candidate follows only the one
 * before it.
 *
 * Not guaranteed: that a process that was paused, or a request that is under way, does nothing outside etcd after its
 * term. Inside etcd `term.txn()` sees to that; outside, `term.token` does, where it is compared. Nor that the next
 * leader comes within the TTL of a dead one: a leader change in etcd gives a lease its whole TTL again. Nor that a term
 * lasts: deleting the key or revoking the lease lets the next one lead before this one hears of it.
 *
 * Errors that end `lead()`, reported by `failed`: before it was in line for the first time, `PermissionDeniedError`,
 * `UnauthenticatedError` and `RequestRefusedError`; at any time `ClientClosedError` of the client. Everything else
 * emits `warning` and is retried for ever, after growing, random pauses: up to 30 s for a role, a user or a password
 * that is missing. While etcd refuses reads of the key, the lease decides whether a term lasts.
 */
export class LeaderElection extends Notifier<LeaderElectionEvents> implements AsyncDisposable {
  static {
    showAs(LeaderElection, "LeaderElection", (it) => ({ name: it.name, candidate: it.candidate, term: it.term }));
  }

  readonly name: string;
  readonly candidate: string;
  readonly #options: ResolvedElection;
  readonly #client: RecipeClient;
  readonly #line: CandidacyLine;
  readonly #closing = new AbortController();
  #run: Pick<LeadRun<unknown>, "term" | "stop" | "resign" | "gone"> | undefined;
  /** What `lead()` gave its caller. */
  #leading: Promise<unknown> | undefined;
  #observing: AbortController | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Does nothing until something is asked of it.
   *
   * @param name of the election, for instance `/leader`; at most 65536 bytes, without a trailing slash
   * @param candidate what the others see of this one, for instance a host name
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(name: string, candidate: string, options: LeaderElectionOptions = {}) {
    const resolved = resolveElection(name, candidate, options);
    const client = recipeClient(resolved.client);
    super(runtimeOf(client.etcd).clock);
    this.#options = resolved;
    this.#client = client;
    this.name = name;
    this.candidate = candidate;
    const { ttlSeconds, renewEverySeconds } = this.#options;
    this.#line = new CandidacyLine({
      etcd: this.#client.etcd,
      name,
      ttlSeconds,
      renewEverySeconds,
      onWarning: (error) => this.notify("warning", error),
    });
    this.#observeWhileListened();
  }

  /** The term, while this candidate leads. */
  get term(): Term | undefined {
    return this.#run?.term;
  }

  /**
   * Campaigns, and runs `work` once elected. Resolves with what `work` returns, and rejects with what it throws, after
   * resigning. A term that was lost, or that `health` ended, is followed by another campaign, whatever its work came
   * to; so `work` can run more than once. It is always waited for, also when it ignores its signal.
   *
   * @param work should end soon when `term.signal` aborts
   * @param options an aborted `signal` ends the campaign or the term; this rejects with its reason once the work has
   *   settled
   * @throws ConflictError when `lead()` is running already; FencedOutError after `resign()` without a term;
   *   ClientClosedError after `close()`; what etcd refuses before it was in line
   */
  lead<T>(work: (term: Term) => Promise<T> | T, options: LeadOptions = {}): Promise<T> {
    const leading = this.#lead(work, options);
    // One that was refused began nothing.
    if (this.#run) this.#leading ??= leading;
    return leading;
  }

  async #lead<T>(work: (term: Term) => Promise<T> | T, options: LeadOptions): Promise<T> {
    const { signal } = resolveLead(work, options);
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    if (this.#run) throw new ConflictError(`this candidate of ${this.name} campaigns or leads already`);
    const { health: check, healthEveryMs: everyMs } = this.#options;
    const { clock } = runtimeOf(this.#client.etcd);
    const run = new LeadRun<T>({
      line: this.#line,
      clock,
      candidate: this.candidate,
      health: new Health({ check, everyMs, clock, onWarning: (error) => this.notify("warning", error) }),
      work,
      notify: (name, ...args) => {
        if (channels.elections.heard) this.#describe(name, args[0]);
        this.notify(name, ...args);
      },
    });
    this.#run = run;
    const release = onAbort(signal, () => this.#stop(run, signal?.reason));
    try {
      return await run.result;
    } finally {
      release();
      this.#run = undefined;
      this.#leading = undefined;
    }
  }

  /**
   * The caller that ends it knows that `lead()` rejects; without an `await` that must not end the process. Errors of
   * the work do.
   */
  #stop(run: Pick<LeadRun<unknown>, "stop"> | undefined, reason: unknown): void {
    this.#leading?.catch(() => {});
    run?.stop(reason);
  }

  /**
   * Ends the term: its signal aborts, the work is waited for until the lease has run out, then the key is deleted, and
   * `lead()` settles as the work does. Without a term it ends the campaign: `lead()` rejects with a FencedOutError. No
   * `elected` follows. Without a `lead()` nothing happens. Resolves when the key is gone, or left to its lease because
   * etcd could not be asked; so the work itself must not wait for it: that is what `term.resign()` is for.
   */
  async resign(): Promise<void> {
    const run = this.#run;
    this.#leading?.catch(() => {});
    run?.resign();
    await run?.gone();
  }

  /**
   * Says something else to those who observe, in the place of the candidate's name, for this term.
   *
   * @throws FencedOutError when this candidate does not lead; InvalidOptionError for an empty value; ClientClosedError
   *   after `close()`
   */
  async proclaim(value: string, options?: CallOptions): Promise<void> {
    checkCandidate("proclaim", "value", value);
    resolveCall("proclaim", options);
    this.#closing.signal.throwIfAborted();
    const { term } = this;
    if (!term) throw new FencedOutError(`${this.candidate} does not lead ${this.name}`);
    await term.proclaim(value, options);
  }

  /**
   * Who leads; undefined: there is none.
   *
   * @throws what an EtcdClient's calls throw; ClientClosedError after `close()`
   */
  async leader(options?: CallOptions): Promise<LeaderInfo | undefined> {
    resolveCall("leader", options);
    this.#closing.signal.throwIfAborted();
    const first = await this.#line.first(options);
    return first && leaderInfo(first);
  }

  /**
   * All who campaign, in the order in which they will lead; the first one leads.
   *
   * @throws what an EtcdClient's calls throw; ClientClosedError after `close()`
   */
  async candidates(options?: CallOptions): Promise<LeaderInfo[]> {
    resolveCall("candidates", options);
    this.#closing.signal.throwIfAborted();
    return (await this.#line.all(options)).map(leaderInfo);
  }

  /**
   * Who leads, first as it is now, then each change: another leader, another value of the same, none (undefined). A
   * reader that lags gets the newest; what came between is left out. Ends with `close()`.
   *
   * @param options an aborted `signal` ends it with its reason
   */
  observe(options: ObserveOptions = {}): AsyncIterableIterator<LeaderInfo | undefined> {
    const { signal } = resolveObserve(options);
    this.#closing.signal.throwIfAborted();
    return this.#observe(signal);
  }

  /**
   * Ends the term or the campaign, as `resign()` does; `lead()` rejects with a ClientClosedError once its work has
   * settled, or settles as the work does if the term had been resigned before. Takes as long as the work, at most what
   * is left of the lease, and a moment for etcd, 5 s at most. Calling it again is harmless.
   */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const error = new ClientClosedError(`the election ${this.name} was closed`);
    const run = this.#run;
    this.#closing.abort(error);
    this.#stop(run, error);
    await run?.gone();
    await this.#line.vacated();
    await this.#client.release();
  }

  async *#observe(signal: AbortSignal | undefined): AsyncGenerator<LeaderInfo | undefined, void, undefined> {
    const closing = this.#closing.signal;
    const end = new AbortController();
    const releases = [
      onAbort(signal, () => end.abort(signal?.reason)),
      onAbort(closing, () => end.abort(closing.reason)),
    ];
    try {
      yield* observeLeader(this.#client.etcd, this.name, end.signal, (error) => this.notify("warning", error));
    } catch (error) {
      if (!closing.aborted || signal?.aborted) throw error;
    } finally {
      for (const release of releases) release();
    }
  }

  #describe(event: string, subject: unknown): void {
    if (event !== "elected" && event !== "lost" && event !== "resigned") return;
    const { name, candidate } = this;
    channels.elections.publish({
      name,
      candidate,
      event,
      token: event === "elected" ? (subject as Term).token : undefined,
      error: event === "lost" ? (subject as Error) : undefined,
    });
  }

  #observeWhileListened(): void {
    const added = (event: string | symbol) => {
      if (event === "leader" && !this.#observing && !this.#closing.signal.aborted) void this.#emitLeaders();
    };
    const removed = (event: string | symbol) => {
      if (event !== "leader" || this.listenerCount("leader") > 0) return;
      this.#observing?.abort();
      this.#observing = undefined;
    };
    watchListeners(this as unknown as EventEmitter, added, removed);
  }

  async #emitLeaders(): Promise<void> {
    const observing = new AbortController();
    this.#observing = observing;
    try {
      for await (const leader of this.#observe(observing.signal)) this.notify("leader", leader);
    } catch (error) {
      if (!observing.signal.aborted) this.notify("failed", asError(error));
    } finally {
      // A listener may have been added meanwhile.
      if (this.#observing === observing) this.#observing = undefined;
    }
  }
}
