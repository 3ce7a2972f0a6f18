import { EtcdTimeoutError, InvalidOptionError } from "../../src/index.ts";
import { asError, inMs, type Runtime } from "../../src/internal/index.ts";
import type { Balancer, PickRequest } from "../balancer/index.ts";
import { createBalancer } from "../balancer/internal.ts";
import { Notifier } from "../recipe/index.ts";
import { ChangeDebounce, type ServiceChanges } from "./change-debounce.ts";
import { InstanceTable } from "./instance-table.ts";
import type { ListStep } from "./list-change.ts";
import { ListWaits } from "./list-waits.ts";
import { type NoServersError, noServers } from "./no-servers-error.ts";
import {
  checkPick,
  type ReportOptions,
  type ResolvedPick,
  resolveReport,
  resolveServiceCall,
  resolveUntil,
  type ServiceCallOptions,
  type UntilOptions,
} from "./options.ts";
import { callServers, type ServiceCall, type ServiceCallParts } from "./service-call.ts";
import type { ServiceInstance } from "./service-instance.ts";
import type { SubscribeServiceEvents, SubscribeStatus } from "./subscribe-events.ts";

/** From so many servers on a retry draws again from all of them. */
const LONG_LIST = 256;
/** How often it draws, before it looks for those that were not tried. */
const DRAWS = 4;

/**
 * A list of instances that is kept true, and how one is chosen from it: what a SubscribeService and its views have in
 * common.
 */
export abstract class ServiceList<Metadata = unknown>
  extends Notifier<SubscribeServiceEvents<Metadata>>
  implements AsyncDisposable
{
  /** What is followed, always with a slash at its end. */
  abstract readonly prefix: string;
  /**
   * Resolves when a list was told that has all that etcd had when this was made, or more, and is followed, however long
   * that takes: what was acknowledged before is in it. Rejects when it never will be: not permitted, closed. It may be
   * left unused.
   */
  abstract readonly ready: Promise<void>;
  readonly #runtime: Runtime;
  readonly #balancer: Balancer<ServiceInstance<Metadata>>;
  /** Whether the strategy is one of ours: another one may read more in a key than that it is another one. */
  readonly #isNamed: boolean;
  readonly #table = new InstanceTable<Metadata>();
  readonly #change: ChangeDebounce<Metadata>;
  readonly #waits: ListWaits;
  #listed = false;
  #finished = false;

  /** @internal */
  protected constructor(runtime: Runtime, pick: ResolvedPick<Metadata>) {
    const { strategy, zone, slowStartMs, changeDelayMs, changeMaxDelayMs } = pick;
    const { clock, random } = runtime;
    super(clock);
    this.#runtime = runtime;
    this.#isNamed = typeof strategy === "string";
    this.#balancer = createBalancer("SubscribeService", strategy, {
      zone,
      slowStartMs,
      random,
      nowMs: () => clock.monotonicMs(),
    });
    this.#change = new ChangeDebounce({
      delayMs: changeDelayMs,
      maxDelayMs: changeMaxDelayMs,
      clock,
      tell: (changes) => this.#tellChange(changes),
    });
    this.#waits = new ListWaits({
      clock,
      isListed: () => this.#listed,
      ended: () => this.ended,
    });
  }

  abstract get status(): SubscribeStatus;

  /** Milliseconds since the list was last known to be followed; 0 while live. Before the first list: since the start. */
  abstract get staleForMs(): number;

  /** Everything that etcd did up to this revision is in the list; 0 before the first. It moves when something changes, and now and then. */
  abstract get revision(): number;

  /** Stops following; the list stays as it is, and nothing is told any more but `status`. Calling it again is harmless. */
  abstract close(): Promise<void>;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * All instances in the order of keys, draining ones included; empty before the first list. Frozen, and so is each
   * instance, but not what is in its metadata; the same array as long as nothing changes.
   */
  list(): readonly ServiceInstance<Metadata>[] {
    return this.#table.all();
  }

  /**
   * One instance, by the strategy: none that is draining, and none that is ejected or gone unless there is nothing
   * else. Also from the last good list, in an outage.
   *
   * @throws NoServersError when there is none, whose `state` says why, also before the first list; ClientClosedError
   *   after   `close()`; the failure after `failed`; InvalidOptionError, also when a strategy of the user's own returns
   *   none; what it throws
   */
  pick(request: PickRequest = {}): ServiceInstance<Metadata> {
    checkPick(request);
    if (this.#finished) this.ended.throwIfAborted();
    const servers = this.#table.pickable();
    if (servers.length === 0) throw this.#noServers();
    return this.#pickOf(servers, request);
  }

  /**
   * Calls a server by `fn`, and if that throws or is out of time another one, up to `attempts` times. What comes of
   * each attempt is told to the strategy, as it is in flight and when it has ended, and to the outlier detection.
   * Without a server it waits for the first.
   *
   * ```ts
   * const send = async (server, signal) => {
   *   const response = await fetch(`http://${server.address}/run`, { method: "POST", body, signal });
   *   if (response.status >= 500) throw new Error(`answered ${response.status}`); // else it counts as success
   *   return response;
   * };
   * const answer = await services.call(send, { attempts: 3, timeoutMs: 5_000 });
   * ```
   *
   * Guaranteed: it settles within its time, also when `fn` ignores its signal; what `fn` does after that is not looked
   * at. The next attempt goes to a server that was not tried, as long as there is one.
   *
   * Not guaranteed: that the work was done once. A server that failed, or was slow, may have done it: with more than
   * one attempt `fn` must be one that may be called twice. Every error that `fn` throws counts against its server; what
   * is not the server's fault is better returned.
   *
   * @throws what the last attempt failed with; EtcdTimeoutError when that was out of time; NoServersError when there
   *   was no   server in time; `signal.reason`; ClientClosedError after `close()`; the failure after `failed`;
   *   InvalidOptionError
   */
  async call<Result>(fn: ServiceCall<Metadata, Result>, options: ServiceCallOptions = {}): Promise<Result> {
    const { key, ...limits } = resolveServiceCall(fn, options);
    const { signal } = limits;
    signal?.throwIfAborted();
    const parts: ServiceCallParts<Metadata> = {
      runtime: this.#runtime,
      choose: (tried) => this.#choose({ key }, tried),
      hasOther: (tried) => this.#table.pickable().some((server) => !tried.has(server.key)),
      someServer: (timeoutMs) => this.#someServer(timeoutMs, signal),
      started: (server) => this.#inform(() => this.#balancer.started?.(server)),
      ended: (server) => this.#inform(() => this.#balancer.ended?.(server)),
      report: (server, { latencyMs, error }) => this.#report(server, error, latencyMs),
    };
    return callServers(parts, fn, { ...limits, signal });
  }

  /**
   * Says what came of a call to an instance that `pick()` gave, for the strategy and the outlier detection. For those
   * who do not use `call()`, which does it by itself.
   *
   * @param error what it failed with; undefined when it did not fail
   * @throws InvalidOptionError
   */
  report(instance: ServiceInstance<Metadata>, error?: unknown, options: ReportOptions = {}): void {
    const { latencyMs } = resolveReport(instance, options);
    this.#report(instance, error, latencyMs);
  }

  /**
   * Waits until the list is as wanted; looks at once, or when the first list is there, then after each batch.
   *
   * @returns the list that was as wanted
   * @throws EtcdTimeoutError after `timeoutMs`; `signal.reason`; ClientClosedError when closed meanwhile; the failure
   *   after `failed`; what `predicate` throws; InvalidOptionError
   */
  async until(
    predicate: (list: readonly ServiceInstance<Metadata>[]) => boolean,
    options: UntilOptions = {},
  ): Promise<readonly ServiceInstance<Metadata>[]> {
    const { timeoutMs, signal } = resolveUntil(predicate, options);
    signal?.throwIfAborted();
    const look = () => {
      const list = this.list();
      return predicate(list) ? list : undefined;
    };
    const outOfTime = () =>
      new EtcdTimeoutError(`the list under ${this.prefix} did not become as wanted within ${inMs(timeoutMs ?? 0)}`);
    return this.#waits.until(look, { timeoutMs, signal }, outOfTime);
  }

  /** The end of it, and why, when it has come. @internal */
  protected abstract get ended(): AbortSignal;

  /** How many services the list has that this is a part of. @internal */
  protected get whole(): number {
    return this.#table.size;
  }

  /** What came of a call to one of its servers. @internal */
  protected abstract reported(instance: ServiceInstance<Metadata>, error: unknown): void;

  /** @internal */
  protected get table(): InstanceTable<Metadata> {
    return this.#table;
  }

  /** @internal */
  protected get listed(): boolean {
    return this.#listed;
  }

  /**
   * Brings the list up to date.
   *
   * @returns tells of it: when all lists that follow the same step are up to date
   * @internal
   */
  protected take({ changes, first = false }: ListStep<Metadata>): () => void {
    const wasEmpty = this.#table.size === 0;
    const told: (() => void)[] = [];
    // What has no listener needs not be gathered.
    const gather = !first && this.listenerCount("change") > 0;
    // Nobody has heard what was gathered before, and nobody will.
    if (!gather) this.#change.drop();
    let touched = first;
    for (const change of changes) {
      if (change.type !== "invalid") touched = this.#touch(change, first ? undefined : told, gather) || touched;
      else if (!first) told.push(() => this.notify("invalid", change.key, change.error));
    }
    if (first) told.push(() => this.#tellFirst(changes));
    const change = this.#table.takeChange();
    if (touched) this.#inform(() => this.#balancer.changed?.(change));
    this.#listed ||= first;
    return () => {
      for (const tell of told) {
        // A listener may close it.
        if (!this.ended.aborted) tell();
      }
      if (this.ended.aborted || !touched) return;
      if (gather) this.#change.settle(wasEmpty);
      this.#waits.lookAll();
    };
  }

  /** Nothing is told any more, and nobody waits any longer. @internal */
  protected finish(): void {
    this.#finished = true;
    this.#change.drop();
    this.#waits.lookAll();
  }

  /**
   * @param told gets what is to be told
   * @returns whether the list has changed
   */
  #touch(
    change: Exclude<ListStep<Metadata>["changes"][number], { type: "invalid" }>,
    told: (() => void)[] | undefined,
    gather: boolean,
  ): boolean {
    switch (change.type) {
      case "put": {
        const { instance } = change;
        const previous = this.#table.get(instance.key);
        this.#table.set(instance);
        if (gather) this.#change.put(instance, previous);
        told?.push(previous ? () => this.notify("put", instance, previous) : () => this.notify("put", instance));
        return true;
      }
      case "delete": {
        const last = this.#table.get(change.key);
        if (!last) return false;
        this.#table.delete(change.key);
        if (gather) this.#change.deleted(last);
        told?.push(() => this.notify("delete", last));
        return true;
      }
      case "leaving":
        this.#table.setLeaving(change.key, change.leaving);
        return true;
      case "ejected":
      case "readmitted": {
        const { instance } = change;
        if (!this.#table.get(instance.key)) return false;
        this.#table.replace(instance);
        told?.push(() =>
          change.type === "ejected"
            ? this.notify("ejected", instance, change.ejection)
            : this.notify("readmitted", instance),
        );
        return true;
      }
    }
  }

  /** The first list can be long: without something to be told made for each. */
  #tellFirst(changes: ListStep<Metadata>["changes"]): void {
    for (const change of changes) {
      if (this.ended.aborted) return;
      if (change.type === "put") this.notify("put", change.instance);
      else if (change.type === "invalid") this.notify("invalid", change.key, change.error);
    }
    if (!this.ended.aborted) this.#tellChange();
  }

  /** @param changes undefined: all of the list is new */
  #tellChange(changes?: ServiceChanges<Metadata>): void {
    if (this.listenerCount("change") === 0) return;
    const list = this.list();
    this.notify("change", list, changes ?? { puts: list, deletes: [] });
  }

  #report(instance: ServiceInstance<Metadata>, error: unknown, latencyMs: number | undefined): void {
    this.#inform(() => this.#balancer.report?.(instance, { latencyMs, error }));
    this.reported(instance, error);
  }

  /** A strategy of the user's own may throw at what it is told; nobody is there who could take care of it. */
  #inform(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.notify("warning", asError(error));
    }
  }

  #pickOf(servers: readonly ServiceInstance<Metadata>[], request: PickRequest): ServiceInstance<Metadata> {
    const server: ServiceInstance<Metadata> | undefined = this.#balancer.pick(servers, request);
    if (server === undefined) {
      throw new InvalidOptionError("SubscribeService", "balancer", "must return one of the servers that it was given");
    }
    return server;
  }

  #choose(request: PickRequest, tried: ReadonlySet<string>): ServiceInstance<Metadata> | undefined {
    this.ended.throwIfAborted();
    const servers = this.#table.pickable();
    if (servers.length === 0) return undefined;
    if (tried.size > 0 && servers.length >= LONG_LIST && (request.key === undefined || this.#isNamed)) {
      // Hardly any of them was tried: to draw again costs less than to leave those out.
      for (let draw = 0; draw < DRAWS; draw++) {
        // The same server belongs to a key each time, and the same other one to what is made of it.
        const key = request.key === undefined ? undefined : `${request.key}\n${tried.size}\n${draw}`;
        const server = this.#pickOf(servers, key === undefined ? request : { key });
        if (!tried.has(server.key)) return server;
      }
    }
    const untried = tried.size === 0 ? servers : servers.filter((server) => !tried.has(server.key));
    return this.#pickOf(untried.length > 0 ? untried : servers, request);
  }

  async #someServer(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const look = () => this.#table.pickable().length > 0 || undefined;
    await this.#waits.until(look, { timeoutMs, signal }, () => this.#noServers());
  }

  #noServers(): NoServersError {
    return noServers({
      prefix: this.prefix,
      status: this.status,
      listed: this.#listed,
      size: this.#table.size,
      whole: this.whole,
    });
  }
}
