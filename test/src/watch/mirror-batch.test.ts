import { describe, expect, test } from "vitest";
import type { KeyValue, MirrorBatch } from "../../../src/index.ts";
import { sameKeyValue } from "../../../src/model/key-value.ts";
import {
  applyEvents,
  difference,
  type Entries,
  entryName,
  type MirrorStep,
  mergeSteps,
} from "../../../src/watch/mirror-batch.ts";
import { MirrorReader } from "../../../src/watch/mirror-reader.ts";
import { type KeyValueFields, storedKeyValue } from "../../../testing/fake-etcd/stored-key-value.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { randomOps, StoreModel } from "../../support/store-model.ts";

const keys = ["a", "b", "c", "d", "e"];

function kv(key: string, fields: Partial<KeyValueFields> = {}): KeyValue {
  const base = { keyBytes: Buffer.from(key), value: Buffer.from("v"), createRevision: 2, modRevision: 2, version: 1 };
  return storedKeyValue({ ...base, ...fields });
}

function snapshot(revision: number, puts: readonly KeyValue[]): MirrorStep {
  return { type: "snapshot", revision, puts, deletes: [], fresh: new Set(puts.map(({ key }) => key)) };
}

/** Random steps as a Mirror makes them: changes of several revisions at once, and now and then a list anew. */
function randomSteps(random: Seeded, count: number): { steps: MirrorStep[]; states: ReadonlyMap<string, KeyValue>[] } {
  const model = new StoreModel();
  let revision = 1;
  for (let first = 0; first < 3; first++) model.execute(++revision, randomOps(random, keys, 3));
  let entries: Entries = new Map(model.entries);
  const steps = [snapshot(revision, [...entries.values()])];
  const states: ReadonlyMap<string, KeyValue>[] = [new Map(entries)];
  while (steps.length < count) {
    const events = Array.from({ length: random.between(1, 6) }, () =>
      model.execute(++revision, randomOps(random, keys, 3)),
    ).flat();
    if (random.chance(0.2)) {
      const listed = new Map(model.entries);
      steps.push(difference(entries, listed, revision, sameKeyValue));
      entries = listed;
    } else {
      steps.push(applyEvents(entries, events, revision));
    }
    expect(stateOf(entries.values())).toEqual(stateOf(model.entries.values()));
    states.push(new Map(entries));
  }
  return { steps, states };
}

describe("applied events", () => {
  test("report a key that was deleted and made again in one batch as both", () => {
    const old = kv("a");
    const entries: Entries = new Map([["a", old]]);
    const remade = kv("a", { createRevision: 7, modRevision: 7 });
    const { puts, deletes } = applyEvents(
      entries,
      [
        { type: "delete", kv: kv("a", { modRevision: 6, createRevision: 0, version: 0 }) },
        { type: "put", kv: remade },
      ],
      7,
    );
    expect(deletes).toEqual([old]);
    expect(puts).toEqual([remade]);
    expect(entries.get("a")).toBe(remade);
  });

  test("report a key that came and went in one batch: no deletion is missed", () => {
    const made = kv("a", { createRevision: 5, modRevision: 5 });
    const entries: Entries = new Map();
    const { puts, deletes } = applyEvents(
      entries,
      [
        { type: "put", kv: made },
        { type: "delete", kv: kv("a", { modRevision: 6, createRevision: 0, version: 0 }) },
      ],
      7,
    );
    expect(deletes).toEqual([made]);
    expect(puts).toEqual([]);
    expect(entries.size).toBe(0);
  });

  test("say nothing of the deletion of a key that was not there", () => {
    const { puts, deletes } = applyEvents(new Map(), [{ type: "delete", kv: kv("a", { version: 0 }) }], 7);
    expect([puts, deletes]).toEqual([[], []]);
  });
});

describe("the difference of two lists", () => {
  test("has every change of a key's state, and nothing of what is the same", () => {
    const before = new Map([
      ["same", kv("same")],
      ["gone", kv("gone")],
      ["changed", kv("changed")],
      ["remade", kv("remade")],
    ]);
    const changed = kv("changed", { modRevision: 9, version: 2 });
    const remade = kv("remade", { createRevision: 8, modRevision: 8 });
    const after = new Map([
      ["same", kv("same")],
      ["changed", changed],
      ["remade", remade],
      ["new", kv("new")],
    ]);
    const { puts, deletes, fresh } = difference(before, after, 9, sameKeyValue);
    expect(deletes.map(({ key }) => key)).toEqual(["gone", "remade"]);
    expect(deletes[1]).toBe(before.get("remade"));
    expect(puts.map(({ key }) => key)).toEqual(["changed", "remade", "new"]);
    expect([...fresh]).toEqual(["new"]);
  });

  // A wiped etcd begins to count anew: the same revisions come again with other values.
  test("sees another value, another lease or another version at the same revision", () => {
    for (const fields of [{ value: Buffer.from("other") }, { lease: "1f" as KeyValue["lease"] }, { version: 2 }]) {
      const now = kv("a", fields as Partial<KeyValueFields>);
      expect(difference(new Map([["a", kv("a")]]), new Map([["a", now]]), 9, sameKeyValue).puts).toEqual([now]);
    }
  });
});

test("a key of another history is another key, also where it was made at the same revision", () => {
  const before = new Map([["a", kv("a", { modRevision: 9, version: 3 })]]);
  const after = new Map([["a", kv("a", { modRevision: 2, version: 1 })]]);
  const { puts, deletes } = difference(before, after, 9, sameKeyValue);
  expect(deletes).toEqual([...before.values()]);
  expect(puts).toEqual([...after.values()]);
});

describe("merged steps", () => {
  test("come to the same state as all of them, and delete only what the reader had, exactly", () => {
    const random = seeded("merged steps");
    for (let round = 0; round < 400; round++) {
      const { steps, states } = randomSteps(random, 12);
      const replica = new Replica();
      replica.apply(steps[0] as MirrorStep);
      const known = stateOf(replica.entries.values());
      const from = random.between(1, 6);
      for (const each of steps.slice(1, from)) replica.apply(each);
      const before = new Map(replica.entries);
      const merged = mergeSteps(steps.slice(from));
      replica.apply(merged);
      const context = `seed ${random.seed}, round ${round}, from ${known}`;
      expect(stateOf(replica.entries.values()), context).toEqual(stateOf((states.at(-1) as Entries).values()));
      for (const gone of merged.deletes) expect(before.has(gone.key), `${gone.key}, ${context}`).toBe(true);
      const remadeOrGone = [...before.values()].filter(
        (old) => states.at(-1)?.get(old.key)?.createRevision !== old.createRevision,
      );
      expect(merged.deletes.map(({ key }) => key).sort(), context).toEqual(remadeOrGone.map(({ key }) => key).sort());
    }
  });

  test("come to the same however they are merged on the way", () => {
    const random = seeded("merged in groups");
    for (let round = 0; round < 400; round++) {
      const { steps } = randomSteps(random, 10);
      const atOnce = mergeSteps(steps.slice(1));
      let grouped = steps[1] as MirrorStep;
      for (const next of steps.slice(2)) {
        grouped = random.chance(0.5) ? mergeSteps([grouped, next]) : mergeSteps([mergeSteps([grouped]), next]);
      }
      const context = `seed ${random.seed}, round ${round}`;
      expect(stateOf(grouped.puts), context).toEqual(stateOf(atOnce.puts));
      expect(stateOf(grouped.deletes), context).toEqual(stateOf(atOnce.deletes));
      expect(grouped.revision).toBe(atOnce.revision);
    }
  });

  test("with a snapshot that waits are a snapshot of the newest state", () => {
    const random = seeded("snapshot");
    for (let round = 0; round < 100; round++) {
      const { steps, states } = randomSteps(random, 6);
      const merged = mergeSteps(steps);
      expect(merged.type).toBe("snapshot");
      expect(merged.deletes).toEqual([]);
      expect(stateOf(merged.puts)).toEqual(stateOf((states.at(-1) as Entries).values()));
    }
  });
});

describe("a reader that never reads", () => {
  /** Each key is made, put again and deleted, and never comes back. */
  function* churn(entries: Entries, count: number): Generator<MirrorStep> {
    let revision = 10;
    for (let number = 0; number < count; number++) {
      const key = `short-lived-${number}`;
      const createRevision = ++revision;
      const made = kv(key, { createRevision, modRevision: createRevision });
      const again = kv(key, { createRevision, modRevision: ++revision, version: 2 });
      const events = [
        { type: "put", kv: made },
        { type: "put", kv: again },
      ] as const;
      yield applyEvents(entries, events, revision);
      const gone = kv(key, { createRevision: 0, modRevision: ++revision, version: 0 });
      yield applyEvents(entries, [{ type: "delete", kv: gone }], revision);
    }
  }

  test("holds no more than the keys that differ, however many come and go", async () => {
    const entries: Entries = new Map([["kept", kv("kept")]]);
    const reader = new MirrorReader(10);
    reader.push(snapshot(2, [kv("kept")]));
    await reader.next();
    for (const next of churn(entries, 2_000)) reader.push(next);
    const batches: MirrorBatch[] = [];
    reader.end({});
    for (let read = await reader.next(); !read.done; read = await reader.next()) batches.push(read.value);
    const waited = batches.reduce((sum, { puts, deletes }) => sum + puts.length + deletes.length, 0);
    expect(waited).toBeLessThanOrEqual(12);
    expect(batches[0]?.type).toBe("resynced");
  });

  test("is not merged from the beginning for every step", () => {
    const reader = new MirrorReader(100);
    const many = Array.from({ length: 5_000 }, (_, number) => kv(`kept-${number}`));
    let looks = 0;
    for (const entry of many) {
      const { key } = entry;
      // How often a merge comes by.
      Object.defineProperty(entry, "key", {
        get: () => {
          looks++;
          return key;
        },
      });
    }
    reader.push(snapshot(2, many));
    for (let revision = 3; revision < 3_000; revision++) {
      const put = kv("busy", { modRevision: revision, version: revision });
      reader.push({ type: "changes", revision, puts: [put], deletes: [], fresh: new Set() });
    }
    expect(looks).toBeLessThan(20 * many.length);
  });
});

test("keys that are not UTF-8 stand under names of their own", () => {
  const names = [[0xff], [0xfe], [0xff, 0xfe], [...Buffer.from("\ufffd")], [...Buffer.from("\ufffdff")]].map((bytes) =>
    entryName(kv("", { keyBytes: Uint8Array.from(bytes) })),
  );
  expect(new Set(names).size).toBe(names.length);
  expect(entryName(kv("svc/ü"))).toBe("svc/ü");
});
