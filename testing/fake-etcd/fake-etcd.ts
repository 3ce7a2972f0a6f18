import { withParts } from "../../src/client-parts.ts";
import { translateFailure } from "../../src/connection/errors/error-translation.ts";
import {
  allKeys,
  EtcdClient,
  type EtcdClientOptions,
  type KeyOrRange,
  type KeyValue,
  type LeaseId,
  LeaseNotFoundError,
  type LeaseRef,
} from "../../src/index.ts";
import { type Clock, type Runtime, systemClock, type Timer } from "../../src/internal/index.ts";
import { toKeyRange } from "../../src/model/key-range.ts";
import { toLeaseId } from "../../src/model/lease-id.ts";
import { FakeClock } from "./fake-clock.ts";
import { GlobalClock } from "./global-clock.ts";
import { Link } from "./link.ts";
import { MemoryEtcd } from "./memory-etcd.ts";
import { MemoryProtocol } from "./memory-protocol.ts";
import { Namespace } from "./namespace.ts";
import { SeededRandom } from "./seeded-random.ts";

/** What a fake etcd is made of; checked already. */
export interface FakeEtcdParts {
  readonly time: "real" | "manual" | "globals";
  readonly startMs: number | undefined;
  readonly seed: number;
  readonly latencyMs: number;
  readonly maxTxnOps: number | undefined;
  readonly maxRequestBytes: number | undefined;
}

const URL = "http://fake-etcd:2379";
const asStored = new Namespace();
/** A client takes 2 s at most to close, of a time that may stand still. */
const CLOSE_LIMIT_MS = 3_000;
const CLOSE_STEP_MS = 20;

/**
 * An etcd in the memory of this process, as `fakeEtcd()` makes it.
 *
 * ```ts
 * const client = etcd.client();
 * const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client });
 * ```
 *
 * Its clients are real ones of the class `EtcdClient`; keys, revisions, txns, leases, watches, compactions and refusals
 * are those of a real etcd, which answers the same contract tests. It has one member, without users, TLS, Raft and
 * disk: what needs one of these throws `RequestRefusedError`.
 */
export class FakeEtcd implements AsyncDisposable {
  /**
   * Options of clients of this etcd: for the `client` of a recipe, which makes one of its own and closes it, and for
   * `new EtcdClient()`. Only this very object leads here, not a copy of it.
   */
  readonly options: EtcdClientOptions;
  readonly #clock: Clock;
  /** The clock, if it goes on only when it is asked to. */
  readonly #manual: FakeClock | undefined;
  readonly #memory: MemoryEtcd;
  readonly #link: Link;
  readonly #runtime: Runtime;
  readonly #clients: EtcdClient[] = [];
  #closing: Promise<void> | undefined;

  constructor(parts: FakeEtcdParts) {
    const { time, startMs, seed, latencyMs, maxTxnOps, maxRequestBytes } = parts;
    this.#manual = time === "manual" ? new FakeClock(startMs) : undefined;
    this.#clock = this.#manual ?? (time === "globals" ? new GlobalClock() : systemClock);
    const limits = { mostTxnOperations: maxTxnOps, mostRequestBytes: maxRequestBytes };
    this.#memory = new MemoryEtcd({ clock: this.#clock, ...limits });
    this.#link = new Link(this.#clock);
    this.#link.latencyMs = latencyMs;
    const random = new SeededRandom(seed);
    const uniqueNumber = () => random.nextId();
    this.#runtime = { clock: this.#clock, random: () => random.next(), uniqueNumber };
    this.options = this.#optionsOf({});
  }

  /**
   * A client of this etcd, closed by `close()` at the latest. Of its options `namespace`, `requestTimeoutMs`,
   * `dialTimeoutMs` and `autoBatch` are looked at; those that say where etcd is, and as whom, lead here all the same.
   *
   * @throws InvalidOptionError
   */
  client(options: EtcdClientOptions = {}): EtcdClient {
    const client = new EtcdClient(this.#optionsOf(options));
    this.#clients.push(client);
    return client;
  }

  /** Milliseconds since the epoch, by the clock of this etcd and of its clients. */
  nowMs(): number {
    return this.#clock.wallMs();
  }

  /**
   * With `time: "manual"`: lets `ms` milliseconds pass, for this etcd, its clients and their recipes. Timers fire in
   * the order of their times, each after all has run that followed from the one before.
   *
   * Not waited for: what takes real time, such as a `fetch()` of your own code. Each call counts from the time at which
   * it is made: two that overlap do not add up, and the clock never goes back.
   *
   * @throws RangeError for what is no number of milliseconds; Error when time is not manual
   */
  async advance(ms: number): Promise<void> {
    if (!this.#manual) throw new Error('advance: time is not manual: fakeEtcd({ time: "manual" })');
    if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`advance: ms must be at least 0, not ${String(ms)}`);
    await this.#manual.pass(ms);
  }

  /** How long a call takes, to etcd and back, in milliseconds. */
  get latencyMs(): number {
    return this.#link.latencyMs;
  }

  /** @throws RangeError */
  set latencyMs(latencyMs: number) {
    if (!Number.isFinite(latencyMs) || latencyMs < 0) throw new RangeError("latencyMs must be at least 0");
    this.#link.latencyMs = latencyMs;
  }

  /** The newest revision. */
  get revision(): number {
    return this.#memory.revision;
  }

  /** What is older cannot be read any more; 0: nothing was compacted. */
  get compactRevision(): number {
    return this.#memory.compactRevision;
  }

  /** The keys of a range as they are, without a client, whatever its namespace. @throws InvalidOptionError */
  entries(range: KeyOrRange = allKeys()): KeyValue[] {
    return asStored.keyValues(this.#memory.entries(toKeyRange("entries", range, "range")));
  }

  /** The keys of a range with their values as text: for `toEqual()`. @throws InvalidOptionError */
  dump(range: KeyOrRange = allKeys()): Record<string, string> {
    return Object.fromEntries(this.entries(range).map(({ key, text }) => [key, text]));
  }

  /** The leases, the one first that ends first. */
  get leases(): readonly LeaseId[] {
    return this.#memory.leaseIds;
  }

  /**
   * Ends a lease as if its time were over: it is gone with its keys.
   *
   * @throws LeaseNotFoundError when there is no such lease; InvalidOptionError
   */
  expireLease(lease: LeaseRef): void {
    const id = toLeaseId("expireLease", lease);
    if (!this.#memory.leaseIds.includes(id)) throw new LeaseNotFoundError(`expireLease: there is no lease ${id}`);
    this.#memory.expireLease(id);
  }

  /**
   * Forgets what was before `revision`, as `client.compact()` does.
   *
   * @param revision the newest when left out
   * @throws CompactedError, FutureRevisionError
   */
  compact(revision = this.revision): void {
    try {
      this.#memory.compact(revision);
    } catch (cause) {
      throw translateFailure(cause, { write: false }).error;
    }
  }

  /**
   * Breaks every connection once: streams end, calls that are under way have an unknown outcome, new ones go through.
   * An etcd that is down stays down.
   */
  goAway(): void {
    this.#link.break();
  }

  /** Cannot be reached, until `up()`: connections break, and new ones are refused. Leases go on. */
  down(): void {
    this.#link.cut();
  }

  /** Can be reached again; not after `close()`. */
  up(): void {
    if (!this.#closing) this.#link.join();
  }

  /** As if it were started anew with an empty disk: no key, no lease, revision 1. Connections break. */
  wipe(): void {
    this.#memory.wipe();
    this.#link.break();
  }

  /** Closes the clients that `client()` made, and is down for good. Calling it again is harmless. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    // Each client revokes its leases: at once, as the test may let no more time pass.
    this.#link.latencyMs = 0;
    this.#link.join();
    const closed = Promise.all(this.#clients.map((client) => client.close()));
    await (this.#manual ? passUntil(closed, this.#manual) : atMost(CLOSE_LIMIT_MS, closed));
    this.#link.cut();
    this.#memory.close();
  }

  #optionsOf(options: EtcdClientOptions): EtcdClientOptions {
    const { endpoints: _, auth: __, tls: ___, followMembers: ____, ...rest } = options;
    return withParts(
      { ...rest, endpoints: URL },
      {
        runtime: this.#runtime,
        openProtocol: ({ namespace, requestTimeoutMs, notices }) =>
          new MemoryProtocol(this.#memory, {
            endpoints: [{ url: URL, network: this.#link }],
            requestTimeoutMs,
            namespace,
            notices,
            holdsProcess: this.#clock === systemClock,
          }),
      },
    );
  }
}

/** What is on its way, such as a lease that was asked for, arrives first: for that manual time goes on. */
async function passUntil(settling: Promise<unknown>, clock: FakeClock): Promise<void> {
  let isOver = false;
  const over = settling.finally(() => {
    isOver = true;
  });
  await clock.pass(0);
  while (!isOver) await clock.pass(CLOSE_STEP_MS);
  await over;
}

async function atMost(limitMs: number, settling: Promise<unknown>): Promise<void> {
  let timer: Timer | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = systemClock.timer(limitMs, resolve);
  });
  await Promise.race([settling, limit]);
  timer?.cancel();
}
