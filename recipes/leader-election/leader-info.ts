import type { KeyValue } from "../../src/index.ts";

/** A candidate, as etcd has it. */
export interface LeaderInfo {
  /** Its name, or what it proclaimed since. */
  readonly candidate: string;
  readonly key: string;
  /** The key's createRevision: the fencing token of its term. */
  readonly token: number;
  /** The revision at which it said so. */
  readonly revision: number;
}

export function leaderInfo(kv: KeyValue): LeaderInfo {
  return Object.freeze({
    candidate: kv.text,
    key: kv.key,
    token: kv.createRevision,
    revision: kv.modRevision,
  });
}
