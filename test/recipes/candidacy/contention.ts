import type { KeyValue } from "../../../src/index.ts";

/**
 * What a contender says of one guarded write. `fenced`: it was not executed, as the error says. `unknown`: it may have
 * been.
 */
export interface GuardedWrite {
  readonly type: "write";
  readonly id: string;
  readonly name: string;
  readonly token: number;
  readonly value: string;
  readonly outcome: "accepted" | "fenced" | "failed" | "unknown";
  readonly revision?: number;
}

/** When a contender first, and so far last, read from its signal that it holds what the token stands for. */
export interface Belief {
  readonly type: "belief";
  readonly id: string;
  readonly name: string;
  readonly token: number;
  /** Taken after the read. */
  readonly first?: number;
  /** Taken before the read. */
  readonly last?: number;
}

export interface HistoryEvent {
  readonly type: "put" | "delete";
  readonly kv: KeyValue;
}

/** All that is wrong with what was written under a name. */
export function checkWrites(name: string, history: readonly HistoryEvent[], writes: readonly GuardedWrite[]): string[] {
  const wrong: string[] = [];
  const line = new Map<string, number>();
  const rows = new Map<string, number>();
  let highest = 0;
  for (const { type, kv } of history) {
    if (kv.key !== `${name}-row`) {
      if (!kv.key.startsWith(`${name}/`)) continue;
      if (type === "put") line.set(kv.key, kv.createRevision);
      else line.delete(kv.key);
      continue;
    }
    const token = Number(kv.text.split(" ")[0]);
    rows.set(kv.text, kv.modRevision);
    if (token < highest) wrong.push(`${kv.text} was written at ${kv.modRevision}, after token ${highest}`);
    highest = Math.max(highest, token);
    const holder = Math.min(...line.values());
    if (holder !== token) wrong.push(`${kv.text} was written at ${kv.modRevision}, when ${holder} held it`);
  }
  for (const { outcome, value, revision } of writes) {
    const written = rows.get(value);
    if (outcome === "accepted" && written !== revision)
      wrong.push(`${value}: accepted at ${revision}, is at ${written}`);
    if ((outcome === "fenced" || outcome === "failed") && written !== undefined)
      wrong.push(`${value}: ${outcome}, but it is at ${written}`);
  }
  return wrong;
}

/**
 * All that is wrong with what the holders of a name believed: one that believed after a later one did, or after its key
 * was seen to be deleted.
 *
 * @param deletedAt when the deletion was seen of the key that a token is of
 */
export function checkBeliefs(beliefs: readonly Belief[], deletedAt: ReadonlyMap<number, number>): string[] {
  const wrong: string[] = [];
  const spans = new Map<number, { id: string; first: number; last: number }>();
  for (const { id, token, first, last } of beliefs) if (first && last) spans.set(token, { id, first, last });
  let earliest = Number.POSITIVE_INFINITY;
  let by = 0;
  for (const [token, { id, first, last }] of [...spans].sort(([a], [b]) => b - a)) {
    const late = (then: number) => `${((last - then) / 1e6).toFixed(1)} ms`;
    if (last > earliest) wrong.push(`${id} believed in ${token} ${late(earliest)} after ${by} was held`);
    const gone = deletedAt.get(token);
    if (gone !== undefined && last > gone)
      wrong.push(`${id} believed in ${token} ${late(gone)} after its key was gone`);
    if (first < earliest) {
      earliest = first;
      by = token;
    }
  }
  return wrong;
}
