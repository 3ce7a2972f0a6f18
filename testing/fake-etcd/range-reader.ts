import type { KeyValue } from "../../src/model/key-value.ts";
import type { RangeOp, RangeResult, RangeSort, RevisionBounds } from "../../src/model/op.ts";
import type { KeyStore } from "./key-store.ts";
import { textRange } from "./key-text.ts";
import { storedKeyValue } from "./stored-key-value.ts";

/** Executes a range: what `count` counts, what `limit` cuts and in which order, as etcd does it. */
export function readRange(store: KeyStore, request: Omit<RangeOp, "type">): RangeResult {
  const { range, revision = 0, limit = 0, keysOnly, countOnly, sort } = request;
  const found = store.range(textRange(range), revision === 0 ? undefined : revision);
  if (countOnly) return { type: "range", kvs: [], count: found.length, more: false };
  const asked = found.filter((kv) => isWithinBounds(kv, request));
  if (sort) asked.sort(comparing(sort));
  const more = limit > 0 && asked.length > limit;
  const kvs = more ? asked.slice(0, limit) : asked;
  return { type: "range", kvs: keysOnly ? kvs.map(withoutValue) : kvs, count: found.length, more };
}

/** A bound of 0 is none. */
function isWithinBounds({ createRevision, modRevision }: KeyValue, bounds: RevisionBounds): boolean {
  const { minModRevision = 0, maxModRevision = 0, minCreateRevision = 0, maxCreateRevision = 0 } = bounds;
  return (
    modRevision >= minModRevision &&
    createRevision >= minCreateRevision &&
    (maxModRevision === 0 || modRevision <= maxModRevision) &&
    (maxCreateRevision === 0 || createRevision <= maxCreateRevision)
  );
}

function comparing({ target, order }: RangeSort): (a: KeyValue, b: KeyValue) => number {
  const sign = order === "ascend" ? 1 : -1;
  if (target === "key") return (a, b) => sign * Buffer.compare(a.keyBytes, b.keyBytes);
  if (target === "value") return (a, b) => sign * Buffer.compare(a.value, b.value);
  return (a, b) => sign * (a[target] - b[target]);
}

function withoutValue({ keyBytes, createRevision, modRevision, version, lease }: KeyValue): KeyValue {
  return storedKeyValue({ keyBytes, value: new Uint8Array(), createRevision, modRevision, version, lease });
}
