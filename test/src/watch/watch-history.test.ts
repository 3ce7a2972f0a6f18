import { expect, test } from "vitest";
import type { WatchBatch, WatchEvent } from "../../../src/index.ts";
import { StoreModel } from "../../support/store-model.ts";
import { watchFaults } from "../../support/watch-history.ts";

const truth = new StoreModel();
truth.execute(2, [{ type: "put", key: "a", value: "1" }]);
truth.execute(3, [
  { type: "put", key: "a", value: "2" },
  { type: "put", key: "b", value: "2" },
]);
truth.execute(4, [{ type: "delete", key: "a" }]);
truth.execute(5, [{ type: "put", key: "elsewhere", value: "" }]);
truth.execute(6, [{ type: "put", key: "a", value: "3" }]);

const received = (revision: number): readonly WatchEvent[] => truth.events.get(revision) ?? [];
const batch = (revision: number, events: readonly WatchEvent[]): WatchBatch => ({ type: "events", revision, events });
const progress = (revision: number): WatchBatch => ({ type: "progress", revision, events: [] });
const faults = (...batches: WatchBatch[]) =>
  watchFaults({ truth, inRange: (key) => key.length === 1, startRevision: 2, batches, upTo: 6, previous: true });

const good = [
  batch(2, received(2)),
  batch(4, [...received(3), ...received(4)]),
  progress(5),
  batch(6, received(6)),
] as const;

// The judge of the random tests: it must see what they look for.
test("the judge of watches finds nothing wrong with a correct one", () => {
  expect(faults(...good)).toEqual([]);
});

test.each<[string, readonly WatchBatch[]]>([
  ["reliable", [good[0], good[2], good[3]]],
  ["reliable", good.slice(0, 3)],
  ["unique", [...good, good[3]]],
  ["ordered", [good[0], good[3], good[1]]],
  ["bookmarkable", [good[0], good[1], progress(6), good[3]]],
  [
    "atomic",
    [good[0], batch(3, received(3).slice(0, 1)), batch(3, received(3).slice(1)), batch(4, received(4)), good[3]],
  ],
  ["filter", [...good.slice(0, 3), batch(5, received(5)), good[3]]],
  ["reliable", [good[0], batch(4, [...received(3).toReversed(), ...received(4)]), good[3]]],
  [
    "previous",
    [...good.slice(0, 3), batch(6, [{ ...(received(6)[0] as WatchEvent), previous: received(2)[0]?.kv as never }])],
  ],
])("the judge of watches finds what is not %s", (_, batches) => {
  expect(faults(...batches)).not.toEqual([]);
});
