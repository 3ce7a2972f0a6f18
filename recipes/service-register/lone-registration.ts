import { ClientClosedError, type EtcdClient, EtcdTimeoutError, type Lease, type LeaseId } from "../../src/index.ts";
import {
  Admission,
  asError,
  type Clock,
  endsRetries,
  inMs,
  isRefusal,
  log,
  onAbort,
  quietDeferred,
  type Runtime,
  runtimeOf,
  timedCalls,
} from "../../src/internal/index.ts";
import { checkHealth } from "../health/index.ts";
import { type KeyLeases, OwnLeases, SharedLeases } from "../leases/index.ts";
import type { RecipeClient } from "../recipe/index.ts";
import {
  closeLimitMs,
  findForeignFormat,
  KeyFollower,
  type KeyOwner,
  type KeySurroundings,
  LoneWriter,
  type LoneWriterOwner,
  LookRound,
  RegisteredKey,
} from "../registration/internal.ts";
import { retry } from "../retries/index.ts";
import type { ResolvedRegister } from "./options.ts";

const debug = log("register");

const tooManyLeases =
  "this client has more than 500 registrations with a lease each, which each need a grant and renewals of their own: " +
  'say { lease: "shared" }, or use a RegistrationGroup';

const nothing = () => {};

/** One registered key on leases of its own, or shared ones: what feeds its keeper, writes for it, and ends it. */
export class LoneRegistration implements KeySurroundings, LoneWriterOwner, KeyOwner {
  readonly emit: KeyOwner["emit"];
  readonly kept: RegisteredKey;
  readonly follower: KeyFollower;
  readonly #options: ResolvedRegister;
  readonly #client: RecipeClient;
  readonly #runtime: Runtime;
  readonly #leases: KeyLeases;
  readonly #writer: LoneWriter;
  #checking: AbortController | undefined;
  /** Takes off what listens to the lease: a shared one goes on without this registration. */
  #unwatchLease = nothing;
  #lookNoMore = nothing;
  /** After a failure: resolves when nothing is left. */
  #gone: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ResolvedRegister, client: RecipeClient, emit: KeyOwner["emit"]) {
    const { etcd } = client;
    const runtime = runtimeOf(etcd);
    const leases = leasesFor(etcd, options);
    const { key } = options;
    this.emit = emit;
    this.#options = options;
    this.#client = client;
    this.#runtime = runtime;
    this.#leases = leases;
    this.#writer = new LoneWriter(etcd, leases, runtime, this);
    this.kept = new RegisteredKey({ what: "ServiceRegister", key, resolved: options, around: this, owner: this });
    // On a lease that stays, the delete of a registration that had the key before may land late.
    if (options.lease === "shared") this.kept.keeper.writesAnew();
    this.follower = new KeyFollower(etcd, runtime, this);
    void this.#begin(leases instanceof OwnLeases && leases.isOneTooMany);
  }

  get clock(): Clock {
    return this.#runtime.clock;
  }

  get admission(): Admission {
    return Admission.of(this.#client.etcd);
  }

  get ended(): AbortSignal {
    return this.#writer.stopped;
  }

  lease(): Lease | undefined {
    return this.#leases.current;
  }

  isOwn(lease: LeaseId | undefined): boolean {
    return this.#leases.has(lease);
  }

  enqueue(): void {
    this.#writer.run();
  }

  close(drainMs: number): Promise<void> {
    if (!this.#closed) {
      const closing = quietDeferred<void>();
      this.#closed = closing.promise;
      this.#close(drainMs).then(closing.resolve, closing.reject);
    }
    return this.#closed;
  }

  async #begin(isOneTooMany: boolean): Promise<void> {
    // Nothing is emitted before the caller had a chance to listen.
    await null;
    if (this.#isOver) return;
    this.follower.start();
    if (this.#isOver) return;
    if (isOneTooMany) this.emit("warning", new Error(tooManyLeases));
    const { keeper } = this.kept;
    if (this.#options.foreignFormats === "error") {
      const foreign = await this.#foreignFormat();
      if (this.#isOver) return;
      if (foreign) {
        this.fail(foreign);
        return;
      }
    } else if (this.#options.foreignFormats === "warn") this.#warnOfForeignFormat();
    this.#lookNoMore = LookRound.of(this.#client.etcd, this.#runtime.clock).add(keeper);
    const { health, healthEveryMs: everyMs } = this.#options;
    if (!health) {
      keeper.start();
      return;
    }
    this.#checking = new AbortController();
    const onResult = (healthy: boolean, error?: Error) => {
      if (error) this.kept.life.warn(error);
      if (healthy) keeper.start();
      else keeper.stepAside();
    };
    await checkHealth({ check: health, everyMs, clock: this.#runtime.clock, onResult }, this.#checking.signal);
  }

  /** A role that may not read the folder has no answer; all else is tried again. */
  async #foreignFormat(): Promise<Error | undefined> {
    const { stopped } = this.#writer;
    const look = async () => ({ foreign: await findForeignFormat(this.#client.etcd, this.#options, stopped) });
    try {
      const { foreign } = await retry(look, {
        runtime: this.#runtime,
        signal: stopped,
        backoff: { initialMs: 100 },
        ends: (error) => isRefusal(error) || endsRetries(error, false),
        onWarning: (error) => this.kept.life.warn(error),
      });
      return foreign;
    } catch (error) {
      debug("%s: %s", this.#options.key, asError(error).message);
      return undefined;
    }
  }

  /** Beside the registration, once. */
  #warnOfForeignFormat(): void {
    findForeignFormat(this.#client.etcd, this.#options).then(
      (foreign) => {
        if (foreign && !this.#isOver) this.emit("warning", foreign);
      },
      (error) => debug("%s: %s", this.#options.key, asError(error).message),
    );
  }

  onLease(lease: Lease): void {
    const { ttlSeconds } = this.#options;
    const { keeper, life } = this.kept;
    if (lease.ttlSeconds > ttlSeconds) {
      life.warn(new Error(`a ttl of ${ttlSeconds} s is too short for etcd, which granted ${lease.ttlSeconds} s`));
    }
    this.#unwatchLease();
    this.#unwatchLease = onAbort(lease.signal, () => keeper.leaseLost(asError(lease.signal.reason)));
  }

  /** It ends, or has ended. */
  get #isOver(): boolean {
    return this.#closed !== undefined || this.#writer.stopped.aborted;
  }

  fail(cause: unknown): void {
    if (this.#isOver) return;
    const error = asError(cause);
    this.#stop(error);
    this.#gone = this.#letGo(error);
    this.kept.life.fail(error);
  }

  async #letGo(error: Error): Promise<void> {
    // A client that is being closed revokes its leases itself, and waits for that; what it does not find it cannot
    // revoke.
    if (error instanceof ClientClosedError) this.#leases.forget();
    else {
      const leaving = this.#leave(async () => {}, this.#limitMs);
      await leaving.catch((failure) => debug("%s: %s", this.#options.key, asError(failure).message));
    }
    await this.#client.release();
  }

  /** Nothing is written any more, and nothing is emitted about the key. */
  #stop(error: Error): void {
    this.#ending(() => error);
    this.kept.keeper.end();
    this.#writer.stop(error);
    this.follower.stop();
  }

  #ending(why: () => Error): void {
    this.#leases.ending();
    this.#checking?.abort(why());
    this.#unwatchLease();
    this.#lookNoMore();
    this.kept.giveUp(why);
  }

  /** How long etcd may take when this ends. */
  get #limitMs(): number {
    return closeLimitMs(this.#options.ttlSeconds);
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#gone) await this.#gone;
    else {
      this.#ending(() => this.kept.closedError());
      this.#writer.hurry();
      const end = (withinMs: number) => this.#takeOut(withinMs);
      await this.kept.leave({ drainMs, limitMs: this.#limitMs, end });
      await this.#client.release();
    }
    this.kept.life.closed();
  }

  /** An own lease takes the key with it, at once. On a shared one the key is deleted. */
  async #takeOut(withinMs: number): Promise<void> {
    if (this.#options.lease === "own") this.#stop(this.kept.closedError());
    const gone = async () => {
      await this.kept.keeper.reach("gone", withinMs);
      // What stands there from now on, on the same lease, is of who comes next.
      this.kept.keeper.end();
    };
    await this.#leave(gone, withinMs).catch((error) => this.emit("warning", asError(error)));
    this.#stop(this.kept.closedError());
  }

  /**
   * Own leases are revoked in turn, each with that much time from then on: a crowd that leaves together would run out
   * of time together. An etcd that answers nothing for so long is waited for no longer.
   */
  async #leave(withdraw: () => Promise<void>, withinMs: number): Promise<void> {
    const { key, lease } = this.#options;
    const leaving = `leaving ${key}`;
    const leave = () =>
      timedCalls(this.#client.etcd, leaving, { timeoutMs: withinMs }, (limit) => this.#leases.leave(withdraw, limit));
    if (lease === "shared") return leave();
    const silent = () => new EtcdTimeoutError(`${leaving}: etcd answered nothing for ${inMs(withinMs)}`);
    try {
      await this.admission.run(leave, { first: true, patience: { ms: withinMs, error: silent } });
    } catch (error) {
      const { current } = this.#leases;
      // Its turn did not come: it is revoked in the background.
      if (current) this.#leases.gone(current, error);
      throw error;
    }
  }
}

function leasesFor(etcd: EtcdClient, { key, lease, ttlSeconds }: ResolvedRegister): KeyLeases {
  if (lease === "own") return new OwnLeases(etcd, ttlSeconds);
  return SharedLeases.of(etcd, ttlSeconds).join("ServiceRegister", key);
}
