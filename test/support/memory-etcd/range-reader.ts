import type { KeyValue } from "../../../src/model/key-value.ts";
import type { RangeOp, RangeResult, RangeSort } from "../../../src/model/op.ts";
import { storedKeyValue } from "../stored-key-value.ts";
import type { KeyStore } from "./key-store.ts";
import { textRange } from "./key-text.ts";

/** Executes a range: what `count` counts, what `limit` cuts and in which order, as etcd does it. */
export function readRange(store: KeyStore, request: Omit<RangeOp, "type">): RangeResult {
  const { range, revision = 0, limit = 0, keysOnly, countOnly, maxCreateRevision = 0, sort } = request;
  const found = store.range(textRange(range), revision === 0 ? undefined : revision);
  if (countOnly) return { type: "range", kvs: [], count: found.length, more: false };
  const asked =
    maxCreateRevision === 0 ? found : found.filter(({ createRevision }) => createRevision <= maxCreateRevision);
  if (sort) asked.sort(comparing(sort));
  const more = limit > 0 && asked.length > limit;
  const kvs = more ? asked.slice(0, limit) : asked;
  return { type: "range", kvs: keysOnly ? kvs.map(withoutValue) : kvs, count: found.length, more };
}

function comparing({ by, order }: RangeSort): (a: KeyValue, b: KeyValue) => number {
  const sign = order === "ascend" ? 1 : -1;
  if (by === "key") return (a, b) => sign * Buffer.compare(a.keyBytes, b.keyBytes);
  if (by === "value") return (a, b) => sign * Buffer.compare(a.value, b.value);
  return (a, b) => sign * (a[by] - b[by]);
}

function withoutValue({ keyBytes, createRevision, modRevision, version, lease }: KeyValue): KeyValue {
  return storedKeyValue({ keyBytes, value: new Uint8Array(), createRevision, modRevision, version, lease });
}
