import type { KeyValue, WatchBatch, WatchEvent } from "../../src/index.ts";
import type { StoreModel } from "./store-model.ts";

export interface WatchHistoryOptions {
  /** What really happened. */
  readonly truth: StoreModel;
  readonly inRange: (key: string) => boolean;
  readonly startRevision: number;
  readonly batches: readonly WatchBatch[];
  /** The watch must have reported everything up to here. */
  readonly upTo: number;
  /** The state before an event may be missing: it can be compacted away. It must never be a wrong one. */
  readonly previous: boolean;
}

/**
 * etcd's own assertions on a watch (tests/robustness/validate/watch.go), held for one logical watch across all of its
 * reconnects: filter, ordered, unique, atomic, bookmarkable, resumable, reliable, isCreate and previous.
 *
 * @returns what is wrong, in words; empty when all of them hold
 */
export function watchFaults(options: WatchHistoryOptions): string[] {
  const { truth, inRange, startRevision, batches, upTo } = options;
  const faults: string[] = [];
  const received = new Map<number, readonly WatchEvent[]>();
  let done = startRevision - 1;
  for (const batch of batches) {
    if (batch.revision <= done) faults.push(`bookmarkable: ${batch.revision} came after everything up to ${done}`);
    if (batch.type === "progress" && batch.events.length > 0) faults.push(`progress at ${batch.revision} has events`);
    for (const [revision, events] of byRevision(batch.events, faults)) {
      if (revision <= done) faults.push(`ordered: ${revision} came after everything up to ${done}`);
      if (revision > batch.revision) faults.push(`atomic: ${revision} came with a batch up to ${batch.revision}`);
      if (received.has(revision)) faults.push(`unique: ${revision} came twice`);
      received.set(revision, events);
    }
    done = Math.max(done, batch.revision);
  }
  for (const [revision, all] of truth.events) {
    if (revision < startRevision || revision > upTo) continue;
    const expected = all.filter(({ kv }) => inRange(kv.key));
    const events = received.get(revision) ?? [];
    received.delete(revision);
    const [wanted, got] = [expected.map(inWords), events.map(inWords)];
    if (wanted.join() !== got.join()) faults.push(`reliable: ${revision} was reported as [${got}] and is [${wanted}]`);
    for (const [index, event] of events.entries()) {
      const before = expected[index]?.previous;
      if (event.previous && (!before || state(event.previous) !== state(before))) {
        faults.push(`previous: ${inWords(event)} came with ${state(event.previous)}`);
      }
      if (event.previous && !options.previous) faults.push(`previous: ${inWords(event)} came with one, unasked`);
    }
  }
  for (const [revision, events] of received) {
    if (revision <= upTo) faults.push(`filter: ${revision} reported [${events.map(inWords)}], which never happened`);
  }
  return faults;
}

function byRevision(events: readonly WatchEvent[], faults: string[]): Map<number, WatchEvent[]> {
  const revisions = new Map<number, WatchEvent[]>();
  let last = 0;
  for (const event of events) {
    const revision = event.kv.modRevision;
    if (revision < last) faults.push(`ordered: ${revision} came after ${last} in one batch`);
    last = revision;
    const same = revisions.get(revision);
    if (same) same.push(event);
    else revisions.set(revision, [event]);
  }
  return revisions;
}

function inWords({ type, kv }: WatchEvent): string {
  return type === "put" ? `put ${state(kv)}` : `delete ${kv.key}`;
}

function state(kv: KeyValue): string {
  return `${kv.key}=${kv.text} c${kv.createRevision} m${kv.modRevision} v${kv.version}`;
}
