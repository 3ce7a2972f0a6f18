import { expect, test } from "vitest";
import { type KeyValue, StoredKeyValue } from "../../../src/model/key-value.ts";
import type { WatchEvent } from "../../../src/model/watch-event.ts";
import { KeptValues } from "../../../src/watch/kept-values.ts";
import { applyEvents, type Entries, entryName } from "../../../src/watch/mirror-batch.ts";
import { seeded } from "../../support/seeded.ts";

const fields = { createRevision: 2, modRevision: 3, version: 1, lease: undefined };

/** Entries as one message brings them: one after the other in the same memory, which has other things in it, too. */
function message(values: readonly { readonly key: string; readonly value: string }[]): KeyValue[] {
  const bytes = values.map(({ key, value }) => Buffer.from(`${key}other${value}`));
  const all = Buffer.allocUnsafeSlow(bytes.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  return values.map(({ key, value }, index) => {
    const end = start + (bytes[index]?.copy(all, start) ?? 0);
    const keyEnd = start + Buffer.byteLength(key);
    const kv = new StoredKeyValue({
      ...fields,
      message: all,
      keyStart: start,
      keyEnd,
      valueStart: end - Buffer.byteLength(value),
      valueEnd: end,
    });
    start = end;
    return kv;
  });
}

function heldBytes(entries: Entries): number {
  const memory = new Set([...entries.values()].map((kv) => StoredKeyValue.memoryOf(kv)));
  return [...memory].reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0);
}

test("whatever comes and goes, entries keep no more than some twice their values, which stay what they are", () => {
  const random = seeded("kept values");
  for (let round = 0; round < 8; round++) {
    const kept = new KeptValues();
    const truth = new Map<string, string>();
    const randomValue = () => "x".repeat(random.between(0, random.pick([10, 100, 3_000]))) + random.between(0, 99);
    const most = random.pick([1, 30, 300]);
    const name = () => `key-${random.between(1, most)}`;
    const listed = Array.from({ length: most }, (_, index) => ({ key: `key-${index + 1}`, value: randomValue() }));
    const kvs = message(listed);
    for (const { key, value } of listed) truth.set(key, value);
    kept.listed(kvs);
    const entries: Entries = new Map(kvs.map((kv) => [entryName(kv), kv]));
    for (let batch = 0; batch < 120; batch++) {
      const puts = message(
        Array.from({ length: random.between(0, 40) }, () => ({ key: name(), value: randomValue() })),
      );
      const events: WatchEvent[] = puts.map((kv) => ({ type: "put", kv }));
      for (let deletes = random.between(0, random.pick([0, 1, most])); deletes > 0; deletes--) {
        const [kv] = message([{ key: name(), value: "" }]) as [KeyValue];
        events.splice(random.between(0, events.length), 0, { type: "delete", kv });
      }
      for (const { type, kv } of events) {
        if (type === "put") truth.set(kv.key, kv.text);
        else truth.delete(kv.key);
      }
      const { droppedBytes } = applyEvents(entries, events, 7);
      kept.changed(entries, events, droppedBytes);
      const values = [...truth.values()].reduce((sum, { length }) => sum + length, 0);
      const context = `seed ${random.seed}, round ${round}, batch ${batch}`;
      // What came and went since they were looked through is at most what there was then, which may be more than now.
      expect(heldBytes(entries), context).toBeLessThan(5 * values + 200 * 1024);
    }
    expect([...entries].map(([key, { text }]) => [key, text]).sort()).toEqual([...truth].sort());
  }
});

test("one entry that is left of each of many messages keeps little more than itself", () => {
  const kept = new KeptValues();
  const entries: Entries = new Map();
  for (let round = 0; round < 200; round++) {
    const passing = Array.from({ length: 100 }, (_, index) => ({ key: `passing/${index}`, value: "x".repeat(1_000) }));
    const events = message([{ key: `kept/${round}`, value: "y".repeat(2_500) }, ...passing]).map(
      (kv): WatchEvent => ({ type: "put", kv }),
    );
    kept.changed(entries, events, applyEvents(entries, events, 7).droppedBytes);
  }
  // 0.6 MB of values came in 20 MB.
  expect(heldBytes(entries)).toBeLessThan(2 * 1024 * 1024);
});
