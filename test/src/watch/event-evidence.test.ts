import { expect, test } from "vitest";
import { type KeyValue, StoredKeyValue, sameKeyValue } from "../../../src/model/key-value.ts";
import { EventEvidence } from "../../../src/watch/event-evidence.ts";
import { FilteredEvidence } from "../../../src/watch/filtered-evidence.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { seeded } from "../../support/seeded.ts";
import { randomOps, StoreModel } from "../../support/store-model.ts";
import { until } from "../../support/until.ts";

const keys = ["a", "b", "c"];

test("what a watch has gathered is true of the history it comes from, at every moment", () => {
  const random = seeded("evidence");
  for (let round = 0; round < 300; round++) {
    const model = new StoreModel();
    let revision = 1;
    for (let before = random.between(0, 5); before > 0; before--) model.execute(++revision, randomOps(random, keys, 3));
    const evidence = new EventEvidence();
    const counted = random.chance(0.5);
    if (counted) evidence.read(revision, model.entries.size);
    for (let batches = 0; batches < 20; batches++) {
      const events = Array.from({ length: random.between(0, 3) }, () =>
        model.execute(++revision, randomOps(random, keys, 3)),
      ).flat();
      const type = events.length > 0 ? "events" : "progress";
      evidence.saw({ type, revision: events.at(-1)?.kv.modRevision ?? revision, events });
      const gathered = evidence.evidence();
      const context = `seed ${random.seed}, round ${round}`;
      const entries = model.at(gathered?.revision ?? 0);
      const { newest, others = [], deleted = [], count } = gathered ?? {};
      for (const kv of newest ? [newest, ...others] : others) {
        expect(sameKeyValue(kv, entries.get(kv.key) as typeof kv), context).toBe(true);
      }
      for (const { keyBytes, revision: goneAt = 0 } of deleted) {
        const key = Buffer.from(keyBytes).toString();
        expect(entries.has(key), context).toBe(false);
        expect([model.at(goneAt - 1).has(key), model.at(goneAt).has(key)], context).toEqual([true, false]);
      }
      expect(count, context).toBe(counted ? entries.size : undefined);
    }
  }
});

test("nothing is known before the first read or event", () => {
  expect(new EventEvidence().evidence()).toBeUndefined();
});

test("what a watch with filters has gathered was true at the revision of each event, whatever came later", () => {
  const random = seeded("filtered evidence");
  for (let round = 0; round < 300; round++) {
    const model = new StoreModel();
    let revision = 1;
    const evidence = new FilteredEvidence();
    const filter = random.pick(["put", "delete"] as const);
    evidence.read(revision, 0);
    expect(evidence.evidence()).toEqual({ revision, count: 0, events: [] });
    for (let batches = 0; batches < 20; batches++) {
      const all = Array.from({ length: random.between(1, 3) }, () =>
        model.execute(++revision, randomOps(random, keys, 3)),
      ).flat();
      const events = all.filter(({ type }) => type !== filter);
      const type = events.length > 0 ? "events" : "progress";
      evidence.saw({ type, revision: events.at(-1)?.kv.modRevision ?? revision, events });
      const gathered = evidence.evidence();
      const context = `seed ${random.seed}, round ${round}`;
      expect(gathered?.count, context).toBeUndefined();
      if (events.length > 0) expect(gathered?.events?.[0]?.kv, context).toBe(events.at(-1)?.kv);
      for (const { type: happened, kv } of gathered?.events ?? []) {
        const known = model.at(kv.modRevision).get(kv.key);
        if (happened === "delete") expect(known, context).toBeUndefined();
        else expect(known && sameKeyValue(known, kv), context).toBe(true);
      }
    }
  }
});

/** Entries whose values lie in one message of a megabyte, and that message. */
function inLargeMessage(...values: string[]): { kvs: KeyValue[]; memory: WeakRef<ArrayBufferLike> } {
  const message = Buffer.allocUnsafeSlow(1_000_000);
  const kvs = values.map((value, index) => {
    const keyStart = 1_000 * (index + 1);
    const valueStart = keyStart + message.write(`key-${index}`, keyStart);
    const valueEnd = valueStart + message.write(value, valueStart);
    const revisions = { createRevision: 2, modRevision: 3, version: 1, lease: undefined };
    return new StoredKeyValue({ ...revisions, message, keyStart, keyEnd: valueStart, valueStart, valueEnd });
  });
  return { kvs, memory: new WeakRef(message.buffer) };
}

async function collected(memory: WeakRef<ArrayBufferLike>): Promise<void> {
  await until(() => {
    collectGarbage();
    return memory.deref() === undefined;
  });
}

test.each([
  ["all events", new EventEvidence()],
  ["some events", new FilteredEvidence()],
])("what a watch of %s has gathered keeps no message alive", async (_, evidence) => {
  const { kvs, memory } = inLargeMessage("a value", "", "another", "the last");
  evidence.saw({ type: "events", revision: 3, events: kvs.map((kv) => ({ type: "put", kv })) });
  await collected(memory);
  expect(kvs.map(({ text }) => text)).toEqual(["a value", "", "another", "the last"]);
});

test("an empty value keeps no message alive, not even before it is read", async () => {
  const { kvs, memory } = inLargeMessage("", "");
  await collected(memory);
  expect(kvs.map(({ value, text }) => [value.length, text])).toEqual([
    [0, ""],
    [0, ""],
  ]);
});
