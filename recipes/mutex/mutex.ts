import { ClientClosedError } from "../../src/index.ts";
import {
  type Clock,
  channels,
  inMs,
  onAbort,
  patientTimer,
  quietDeferred,
  runtimeOf,
  showAs,
  waitedInVain,
  within,
} from "../../src/internal/index.ts";
import { type Candidacy, CandidacyLine } from "../candidacy/internal.ts";
import { type CommonEvents, Notifier, type RecipeClient, recipeClient } from "../recipe/index.ts";
import { HeldLock } from "./held-lock.ts";
import type { Lock } from "./lock.ts";
import {
  type AcquireOptions,
  type MutexOptions,
  resolveAcquire,
  resolveMutex,
  resolveRun,
  resolveTry,
  type TryAcquireOptions,
} from "./options.ts";

/** Go's mutex puts nothing under its key, either. */
const NO_VALUE = "";

/**
 * A lock that one holder has at a time, of all who use its name. Who comes first gets it first. `etcdctl lock` and Go's
 * `concurrency.Mutex` contend for the same one. Names must not nest: who holds `/lock/a` holds up `/lock`.
 *
 * ```ts
 * const mutex = new Mutex("/locks/report", { ttlSeconds: 10 });
 * await mutex.run(async (lock) => {
 *   await lock.txn([putOp("/report", "done")]);
 * }, { timeoutMs: 5_000 });
 * ```
 *
 * Guaranteed: no caller gets it without having read its own key back, with time left on its lease. Reading
 * `lock.signal.aborted` compares the clock: it is true no later than etcd expires the lease. A wait that was given up
 * leaves no key behind. Each acquisition has a lease of its own, so one object can be used by many callers at once; it
 * is not reentrant. A waiter follows only the one before it.
 *
 * Not guaranteed: that two holders never overlap outside etcd. A process that was paused goes on where it was, with a
 * lock that another holder has by then. Inside etcd `lock.txn()` sees to that; outside, `lock.token` does, where it is
 * compared. Nor that the next one gets it within the TTL of a dead holder: a leader change in etcd gives a lease its
 * whole TTL again.
 *
 * While a caller waits, what fails emits `warning` and is retried for ever, after growing, random pauses: up to 30 s
 * for a role, a user or a password that is missing. To a caller that was not in line yet it is thrown:
 * `PermissionDeniedError`, `UnauthenticatedError`, `RequestRefusedError`; at any time `ClientClosedError`. There is no
 * `failed`: one caller's end is not the others'.
 */
export class Mutex extends Notifier<CommonEvents> implements AsyncDisposable {
  static {
    showAs(Mutex, "Mutex", (it) => ({ name: it.name }));
  }

  readonly name: string;
  readonly #client: RecipeClient;
  readonly #clock: Clock;
  readonly #line: CandidacyLine;
  readonly #closing = new AbortController();
  readonly #held = new Set<HeldLock>();
  /** The work of each `run()` that has its lock; settles with it, and never rejects. */
  readonly #running = new Map<HeldLock, Promise<unknown>>();
  /** Callers who wait for their turn. */
  readonly #waits = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  /**
   * Does nothing until it is asked for.
   *
   * @param name of the lock, for instance `/locks/report`; without a trailing slash
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(name: string, options: MutexOptions = {}) {
    const { ttlSeconds, client: given } = resolveMutex(name, options);
    const client = recipeClient(given);
    const { clock } = runtimeOf(client.etcd);
    super(clock);
    this.name = name;
    this.#client = client;
    this.#clock = clock;
    this.#line = new CandidacyLine({
      etcd: this.#client.etcd,
      name,
      ttlSeconds,
      onWarning: (error) => this.notify("warning", error),
    });
  }

  /**
   * Waits for its turn.
   *
   * @throws EtcdTimeoutError after `timeoutMs`; `signal.reason`; ClientClosedError after `close()`; what etcd refuses
   *   before this caller was in line.
   *   The key of a wait that ended so is deleted in the background.
   */
  async acquire(options: AcquireOptions = {}): Promise<Lock> {
    return this.#acquire(resolveAcquire(options));
  }

  /**
   * Gets it if it has no holder and no caller waits for it. Otherwise nothing is written, unless another caller came in
   * the same moment.
   *
   * @returns undefined when it has a holder
   * @throws `signal.reason`; ClientClosedError after `close()`; EtcdError when etcd cannot be asked
   */
  async tryAcquire(options: TryAcquireOptions = {}): Promise<Lock | undefined> {
    return this.#within(resolveTry(options), (signal) => this.#line.attempt(NO_VALUE, signal));
  }

  /**
   * Waits for its turn, runs `work` and releases, also when it throws. Resolves with what `work` returns, also when the
   * lock was lost meanwhile: whether it was held to the end is for `work` to look at, by `lock.signal` or `lock.txn()`.
   *
   * @param options hold for the wait
   * @throws what `acquire()` throws; what `work` throws
   */
  async run<T>(work: (lock: Lock) => Promise<T> | T, options: AcquireOptions = {}): Promise<T> {
    const lock = await this.#acquire(resolveRun(work, options));
    const working = (async () => {
      // It can have been lost, or closed, in the moment since.
      lock.signal.throwIfAborted();
      return work(lock);
    })();
    this.#running.set(
      lock,
      working.catch(() => {}),
    );
    try {
      return await working;
    } finally {
      this.#running.delete(lock);
      await lock.release();
    }
  }

  /**
   * Ends all waits with a ClientClosedError, and releases every lock that this object gave. Work that `run()` began is
   * stopped by `lock.signal` and waited for, at most until its lease has run out; so the work itself must not wait for
   * it. Takes a moment more for etcd, 5 s at most. Calling it again is harmless.
   */
  async close(): Promise<void> {
    if (!this.#closed) {
      const closed = quietDeferred<void>();
      // Known before it begins: a listener of a lock that it ends may call it again.
      this.#closed = closed.promise;
      this.#close().then(closed.resolve, closed.reject);
    }
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #acquire(options: AcquireOptions): Promise<HeldLock> {
    const clock = this.#clock;
    const endMs = clock.monotonicMs() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    const leftMs = () => endMs - clock.monotonicMs();
    return this.#within(options, (signal) => this.#line.campaign(NO_VALUE, signal, { leftMs }));
  }

  /** Runs `wait` with one signal for all that can end it. */
  async #within<T extends Candidacy | undefined>(
    options: AcquireOptions,
    wait: (signal: AbortSignal) => Promise<T>,
  ): Promise<HeldLock | (T & undefined)> {
    this.#closing.signal.throwIfAborted();
    options.signal?.throwIfAborted();
    const { locks } = channels;
    const trace = locks.heard ? locks.begin({ name: this.name }) : undefined;
    const waiting = this.#wait(options, wait);
    const settled = waiting.catch(() => {});
    this.#waits.add(settled);
    try {
      const lock = await waiting;
      if (trace) {
        trace.message.token = lock?.token;
        trace.succeed();
      }
      return lock;
    } catch (error) {
      trace?.fail(error);
      throw error;
    } finally {
      this.#waits.delete(settled);
    }
  }

  async #wait<T extends Candidacy | undefined>(
    { signal, timeoutMs }: AcquireOptions,
    wait: (signal: AbortSignal) => Promise<T>,
  ): Promise<HeldLock | (T & undefined)> {
    const end = new AbortController();
    const outOfTime = (ms: number) =>
      waitedInVain(this.#client.etcd, `${this.name} was not free within ${inMs(ms)}`, { retryable: true });
    const timer =
      timeoutMs === undefined ? undefined : patientTimer(this.#clock, timeoutMs, () => end.abort(outOfTime(timeoutMs)));
    const releases = [signal, this.#closing.signal].map((other) => onAbort(other, () => end.abort(other?.reason)));
    try {
      const candidacy = await wait(end.signal);
      if (candidacy && end.signal.aborted) void this.#line.leave(candidacy);
      end.signal.throwIfAborted();
      return (candidacy && this.#hold(candidacy)) as HeldLock | (T & undefined);
    } finally {
      timer?.cancel();
      for (const release of releases) release();
    }
  }

  #hold(candidacy: Candidacy): HeldLock {
    const lock = new HeldLock(candidacy, this.#line);
    this.#held.add(lock);
    onAbort(lock.signal, () => this.#held.delete(lock));
    return lock;
  }

  async #close(): Promise<void> {
    const error = new ClientClosedError(`the mutex ${this.name} was closed`);
    this.#closing.abort(error);
    const held = [...this.#held];
    for (const lock of held) lock.giveUp(error);
    // A lock acquired in this very moment is held, or left, when its wait has settled.
    await Promise.all([...this.#waits]);
    held.push(...this.#held);
    await Promise.all(held.map((lock) => this.#letGo(lock)));
    await this.#line.vacated();
    await this.#client.release();
  }

  async #letGo(lock: HeldLock): Promise<void> {
    const working = this.#running.get(lock);
    if (working) await within(this.#clock, working, lock.remainingMs(), () => undefined).catch(() => {});
    await lock.release();
  }
}
