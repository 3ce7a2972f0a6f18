import type { Protocol, WatchResponse } from "../../src/connection/index.ts";
import {
  type BytesLike,
  type Compare,
  type EtcdError,
  type KeyRange,
  type KeyValue,
  type LeaseId,
  leaseId,
  type Op,
  prefix,
  type WatchEvent,
  type WatchFilter,
} from "../../src/index.ts";
import { until } from "./until.ts";

/** An etcd to ask, by whichever Protocol. */
export interface ContractSubject {
  readonly protocol: Protocol;
  compact(revision: number): Promise<void>;
}

export const bytes = (text: BytesLike) => (typeof text === "string" ? Buffer.from(text, "latin1") : Buffer.from(text));
let made = 0;

/** What a test asks an etcd, under a prefix of its own. */
export class ProtocolLab {
  readonly protocol: Protocol;
  readonly root = `contract/${++made}/`;
  readonly #subject: ContractSubject;

  constructor(subject: ContractSubject) {
    this.#subject = subject;
    this.protocol = subject.protocol;
  }

  key(name: string): Buffer {
    return bytes(this.root + name);
  }

  one(name: string): KeyRange {
    return { start: this.key(name) };
  }

  get all(): KeyRange {
    return prefix(this.root);
  }

  async put(name: string, value = "v", options: { lease?: LeaseId; previous?: boolean } = {}) {
    return this.protocol.put({ key: this.key(name), value: bytes(value), ...options });
  }

  async delete(name: string) {
    return this.protocol.deleteRange({ range: this.one(name) });
  }

  async range(options: Omit<Parameters<Protocol["range"]>[0], "range"> = {}, range = this.all) {
    const { kvs, count, more } = await this.protocol.range({ range, ...options });
    return { kvs: kvs.map((kv) => this.name(kv)), count, more };
  }

  /** A key without the prefix. */
  name({ keyBytes }: KeyValue): string {
    return Buffer.from(keyBytes).toString("latin1").slice(this.root.length);
  }

  async txn(compare: Compare[], success: Op[], failure: Op[] = []) {
    return this.protocol.txn({ compare, success, failure });
  }

  async revision(): Promise<number> {
    return (await this.protocol.range({ range: this.one("-") })).revision;
  }

  newLeaseId(): LeaseId {
    return leaseId(Buffer.from(`${this.root}${++made}`).toString("hex").slice(-14).padStart(15, "1"));
  }

  compact(revision: number): Promise<void> {
    return this.#subject.compact(revision);
  }

  async watch(
    startRevision: number,
    { range = this.all, previous = false, filters = [] as readonly WatchFilter[] } = {},
  ): Promise<WatchLog> {
    const log = new WatchLog();
    const [endpoint] = this.protocol.streamEndpoints();
    if (!endpoint) throw new Error("there is one");
    const stream = await this.protocol.openWatch(endpoint, 2_000, {
      onMessage: (message) => log.responses.push(message),
      onEnd: (error) => log.ends.push(error),
    });
    log.close = () => stream.close();
    log.cancel = (id) => stream.cancel(id);
    log.requestProgress = () => stream.requestProgress();
    log.create = (watchId = "0") => stream.create({ range, startRevision, previous, filters, watchId });
    log.create();
    await log.until((responses) => responses.some(({ created }) => created));
    return log;
  }
}

export class WatchLog {
  readonly responses: WatchResponse[] = [];
  readonly ends: EtcdError[] = [];
  close = () => {};
  create = (_watchId?: string) => {};
  cancel = (_: string) => {};
  requestProgress = () => {};

  get events(): WatchEvent[] {
    return this.responses.flatMap(({ events }) => events);
  }

  until(holds: (responses: readonly WatchResponse[]) => boolean): Promise<unknown> {
    return until(() => holds(this.responses), { message: () => JSON.stringify(this.responses) });
  }

  async untilEvents(count: number): Promise<WatchEvent[]> {
    await this.until(() => this.events.length >= count);
    return this.events;
  }
}
