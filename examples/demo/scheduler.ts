import { setTimeout as sleep, setInterval as ticks } from "node:timers/promises";
import { type ServiceInstance, SubscribeService, type SubscribeStatus } from "etcd-recipes";
import type { Journal } from "./journal.ts";
import { printable } from "./printable.ts";
import { Tally } from "./tally.ts";

const everyMs = 100;
/** A master that takes longer for its answer is given up. */
const attemptLimitMs = 2_000;
/** A request that nobody has answered by then is lost. */
const requestLimitMs = 15_000;

const statusTexts: Record<SubscribeStatus, string> = {
  connecting: "asks etcd for the list",
  live: "live: etcd tells of every change",
  stale: "stale: etcd is out of reach, the last list is kept",
  failed: "failed",
  closed: "no longer followed",
};

/** Follows the list of masters and sends each request to the next one in turn; to another one when that fails. */
export class Scheduler implements AsyncDisposable {
  readonly services = new SubscribeService("/publictest/pipeline/");
  readonly counts = { sent: 0, answered: 0, retried: 0, lost: 0 };
  readonly #journal: Journal;
  readonly #tallies = new Map<string, Tally>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(journal: Journal) {
    this.#journal = journal;
    this.services
      .on("put", ({ id, address }) => journal.tell("list", `+ ${printable(id)} at ${printable(address)}`))
      .on("delete", ({ id }) => journal.tell("list", `- ${printable(id)}`))
      .on("invalid", (key, error) => journal.tell("list", printable(`ignores ${key}: ${error.message}`)))
      .on("status", (status) => journal.tell("list", statusTexts[status]))
      .on("warning", (error) => journal.tell("list", printable(`warning: ${error.message}`)))
      .on("failed", (error) => journal.tell("list", printable(`failed: ${error.message}`)));
  }

  tally(id: string): Tally {
    const known = this.#tallies.get(id) ?? new Tally();
    this.#tallies.set(id, known);
    return known;
  }

  /** From the first master on, sends a request every 100 ms, whether those before are answered or not. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    await this.services.until((list) => list.length > 0, { signal });
    for await (const _ of ticks(everyMs, undefined, { signal })) {
      const request = this.#send(++this.counts.sent).finally(() => this.#underWay.delete(request));
      this.#underWay.add(request);
    }
  }

  /** Sends nothing more, and resolves when what was sent is answered or lost. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#underWay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.services.close();
  }

  async #send(request: number): Promise<void> {
    const limit = AbortSignal.timeout(requestLimitMs);
    const tried = new Set<string>();
    try {
      for (let attempt = 1; ; attempt++) {
        const server = await this.#next(tried, limit);
        if (await this.#ask(server, request)) break;
        tried.add(server.address);
        if (attempt === 1) this.counts.retried++;
      }
      this.counts.answered++;
    } catch (error) {
      this.counts.lost++;
      this.#journal.tell("scheduler", printable(`request ${request} is lost: ${(error as Error).message}`));
    }
  }

  /** The next master in turn that is not among those tried; when all are, it begins again. */
  async #next(tried: Set<string>, signal: AbortSignal): Promise<ServiceInstance> {
    const isNew = ({ address }: ServiceInstance) => !tried.has(address);
    for (;;) {
      await this.services.until((list) => list.length > 0, { signal });
      while (this.services.list().some(isNew)) {
        const server = this.services.pick();
        if (isNew(server)) return server;
      }
      tried.clear();
      await sleep(everyMs);
    }
  }

  async #ask({ id, address }: ServiceInstance, request: number): Promise<boolean> {
    const tally = this.tally(id);
    try {
      const signal = AbortSignal.timeout(attemptLimitMs);
      const response = await fetch(`http://${address}/run?request=${request}`, { signal });
      await response.json();
      if (!response.ok) throw new Error(`status ${response.status}`);
      tally.noteAnswer(request);
      return true;
    } catch (error) {
      // One line when it falls silent, not one for each request: the tally counts them.
      if (!tally.silent) this.#tellOfFailure(id, request, error as Error);
      tally.noteFailure();
      return false;
    }
  }

  #tellOfFailure(id: string, request: number, error: Error): void {
    const { code, message } = (error.cause ?? error) as NodeJS.ErrnoException;
    const reason = code?.startsWith("E") ? code : message;
    this.#journal.tell("scheduler", printable(`request ${request} to ${id}: ${reason}; tries another`));
  }
}
