import { InvalidOptionError } from "../../src/index.ts";
import { type Runtime, whyUnreached } from "../../src/internal/index.ts";
import type { PickRequest } from "../balancer/index.ts";
import type { ListSource } from "./list-source.ts";
import { NoServersError, noServers } from "./no-servers-error.ts";
import { isSameRegistration, type ServiceInstance } from "./service-instance.ts";

/** From so many servers on a retry draws again from all of them. */
const LONG_LIST = 256;
/** How often it draws, before it looks for those that were not tried. */
const DRAWS = 4;

/** How servers are chosen from a list, and what comes of their use. */
export class ServerChoice<Metadata> {
  readonly runtime: Runtime;
  readonly prefix: string;
  readonly #source: ListSource<Metadata>;

  constructor(source: ListSource<Metadata>) {
    this.runtime = source.runtime;
    this.prefix = source.prefix;
    this.#source = source;
  }

  /**
   * @throws NoServersError; why the list ended; InvalidOptionError and what else a strategy of the user's own throws
   */
  pick(request: PickRequest): ServiceInstance<Metadata> {
    const { list, ended } = this.#source;
    if (list.finished) ended.throwIfAborted();
    const servers = list.table.pickable();
    if (servers.length === 0) throw this.noServers();
    return this.#pickOf(servers, request);
  }

  /** One that is not among those tried, if there is such a one; undefined when there is none at all. */
  pickUntried(request: PickRequest, tried: ReadonlySet<string>): ServiceInstance<Metadata> | undefined {
    const { list, ended } = this.#source;
    ended.throwIfAborted();
    const servers = list.table.pickable();
    if (servers.length === 0) return undefined;
    if (tried.size > 0 && servers.length >= LONG_LIST && (request.key === undefined || list.isNamed)) {
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

  /** Whether there is one that is not among those tried. */
  hasOther(tried: ReadonlySet<string>): boolean {
    return this.#source.list.table.pickable().some((server) => !tried.has(server.key));
  }

  /**
   * Waits until there is a server.
   *
   * @throws NoServersError when the time is over; `signal.reason`; why the list ended
   */
  async someServer(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { list } = this.#source;
    const look = () => list.table.pickable().length > 0 || undefined;
    await list.waits.until(this.#source, look, { timeoutMs, signal }, () => {
      const { message, state } = this.noServers();
      return new NoServersError(message, state, whyUnreached(this.#source.etcd));
    });
  }

  started(server: ServiceInstance<Metadata>): void {
    const { list } = this.#source;
    list.inform(() => list.balancer.started?.(server));
  }

  ended(server: ServiceInstance<Metadata>): void {
    const { list } = this.#source;
    list.inform(() => list.balancer.ended?.(server));
  }

  report(server: ServiceInstance<Metadata>, error: unknown, latencyMs: number | undefined): void {
    const { list } = this.#source;
    list.inform(() => list.balancer.report?.(server, { latencyMs, error }));
    this.#source.reported(server, error);
  }

  noServers(): NoServersError {
    const { prefix, status, list, whole } = this.#source;
    return noServers({ prefix, status, listed: list.listed, size: list.table.size, whole });
  }

  #pickOf(servers: readonly ServiceInstance<Metadata>[], request: PickRequest): ServiceInstance<Metadata> {
    const { balancer, isNamed, table } = this.#source.list;
    const server: ServiceInstance<Metadata> | null | undefined = balancer.pick(servers, request);
    // Not by identity: what a strategy reports before it returns can have replaced the instance.
    const listed = isNamed || !server ? server : table.get(server.key);
    if (!server || !listed || !isSameRegistration(listed, server)) {
      throw new InvalidOptionError("SubscribeService", "balancer", "must return one of the servers that it was given");
    }
    return server;
  }
}
