import { channels, inMs, waitedInVain } from "../../src/internal/index.ts";
import type { PickRequest } from "../balancer/index.ts";
import { Notifier } from "../recipe/index.ts";
import type { ListSource } from "./list-source.ts";
import {
  checkPick,
  type ReportOptions,
  resolveReport,
  resolveServiceCall,
  resolveUntil,
  type ServiceCallOptions,
  type UntilOptions,
} from "./options.ts";
import { ServerChoice } from "./server-choice.ts";
import { ServersOfCall } from "./servers-of-call.ts";
import { callServers, type ServiceCall } from "./service-call.ts";
import type { ServiceInstance } from "./service-instance.ts";
import type { SubscribeServiceEvents, SubscribeStatus } from "./subscribe-events.ts";

/**
 * A list of instances that is kept true, and how one is chosen from it: what a SubscribeService and its views have in
 * common.
 */
export class ServiceList<Metadata = unknown>
  extends Notifier<SubscribeServiceEvents<Metadata>>
  implements AsyncDisposable
{
  /** What is followed, always with a slash at its end. */
  readonly prefix: string;
  readonly #source: ListSource<Metadata>;
  readonly #choice: ServerChoice<Metadata>;

  /** @internal */
  protected constructor(source: ListSource<Metadata>) {
    super(source.runtime.clock);
    this.#source = source;
    this.#choice = new ServerChoice(source);
    this.prefix = source.prefix;
    source.list.heardBy({
      emit: ([name, ...args]) => this.notify(name, ...(args as never)),
      hears: (name) => this.listenerCount(name) > 0,
    });
  }

  /**
   * Resolves when a list was emitted that has all that etcd had when this was made, or more, and is followed, however
   * long that takes: what was acknowledged before is in it. Rejects when it never will be: not permitted, closed. It
   * may be left unused.
   */
  get ready(): Promise<void> {
    return this.#source.ready;
  }

  get status(): SubscribeStatus {
    return this.#source.status;
  }

  /**
   * Milliseconds since the list was last known to be followed; 0 while live. Before the first list: since the start. Of
   * a list from a file also those that went by before.
   */
  get staleForMs(): number {
    return this.#source.staleForMs;
  }

  /**
   * Everything that etcd did up to this revision is in the list; 0 before the first. It moves when something changes,
   * and now and then.
   */
  get revision(): number {
    return this.#source.revision;
  }

  /**
   * Stops following; the list stays as it is, and nothing is emitted any more but `status`. Calling it again is
   * harmless.
   */
  async close(): Promise<void> {
    await this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * All instances in the order of keys, draining ones included; empty before the first list. Frozen, and so is each
   * instance, but not what is in its metadata; the same array as long as nothing changes.
   */
  list(): readonly ServiceInstance<Metadata>[] {
    return this.#source.list.table.all();
  }

  /**
   * One instance, by the strategy: none that is draining, and none that is ejected or gone unless there is nothing
   * else. Also from the last good list, in an outage.
   *
   * @throws NoServersError when there is none, whose `state` says why, also before the first list; ClientClosedError
   *   after `close()`; the failure after `failed`; InvalidOptionError, also when a strategy of the user's own returns
   *   none; what it throws
   */
  pick(request: PickRequest = {}): ServiceInstance<Metadata> {
    checkPick(request);
    return this.#choice.pick(request);
  }

  /**
   * Calls a server by `fn`, and if that throws or is out of time another one, up to `attempts` times. What comes of
   * each attempt is reported to the strategy, as it is in flight and when it has ended, and to the outlier detection.
   * Without a server it waits for the first.
   *
   * ```ts
   * const run = (server, signal) => fetch(`http://${server.address}/run`, { method: "POST", body, signal });
   * // fetch() resolves with a 503 as well
   * const answer = await services.call(run, { attempts: 3, timeoutMs: 5_000, isFailure: isFailedResponse });
   * ```
   *
   * Guaranteed: it settles within its time, also when `fn` ignores its signal; what `fn` does after that is not looked
   * at. The next attempt goes to a server that was not tried, as long as there is one.
   *
   * Not guaranteed: that the work was done once. A server that failed, or was slow, may have done it: with more than
   * one attempt `fn` must be one that may be called twice. Every error that `fn` throws counts against its server; what
   * is not the server's fault is better returned, and what is returned and is its fault named by `isFailure`.
   *
   * @throws what the last attempt failed with; EtcdTimeoutError when that was out of time, with `outcomeUnknown: true`
   *   when a server was asked; NoServersError when there was no server in time; `signal.reason`; ClientClosedError
   *   after `close()`; the failure after `failed`; InvalidOptionError
   */
  async call<Result>(fn: ServiceCall<Metadata, Result>, options: ServiceCallOptions<Result> = {}): Promise<Result> {
    const { key, ...limits } = resolveServiceCall(fn, options);
    const { signal } = limits;
    signal?.throwIfAborted();
    const servers = new ServersOfCall(this.#choice, { key }, signal);
    const { serviceCalls } = channels;
    if (!serviceCalls.heard) return callServers(servers, fn, { ...limits, signal });
    return serviceCalls.enter({ prefix: this.prefix, attempt: 0 }, (trace) => {
      const asked = () => {
        trace.message.attempt++;
      };
      return trace.follow(callServers(servers, fn, { ...limits, signal, asked }));
    });
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
    this.#choice.report(instance, error, latencyMs);
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
      waitedInVain(
        this.#source.etcd,
        `the list under ${this.prefix} did not become as wanted within ${inMs(timeoutMs ?? 0)}`,
        { retryable: true },
      );
    return this.#source.list.waits.until(this.#source, look, { timeoutMs, signal }, outOfTime);
  }
}
