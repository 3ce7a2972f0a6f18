import { expect, test } from "vitest";
import { sameKeyValue } from "../../../src/model/key-value.ts";
import { EventEvidence } from "../../../src/watch/event-evidence.ts";
import { FilteredEvidence } from "../../../src/watch/filtered-evidence.ts";
import { seeded } from "../../support/seeded.ts";
import { randomOps, StoreModel } from "../../support/store-model.ts";

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
