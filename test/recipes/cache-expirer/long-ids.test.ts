import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { trackerOn } from "../../support/cache-lab.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// etcd takes 1.5 MB in a request, and counts bytes.

const ttlSeconds = 100;
const bucketMs = (ttlSeconds * 1_000) / 64;

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

test.each([
  ["ids of many bytes a letter", "漢".repeat(2_300)],
  ["ids of many letters", "x".repeat(8_000)],
])("%s are tracked and swept", async (_, tail) => {
  const clock = new FakeClock();
  const { tracker, expired, warnings } = trackerOn(lab, clock, lab.newPrefix(), { ttlSeconds });
  await tracker.ready;
  const ids = Array.from({ length: 127 }, (_, i) => `${i}${tail}`);
  await Promise.all(ids.map((id) => tracker.track(id, {})));
  clock.advance(ttlSeconds * 1_000);
  await until(() => {
    clock.advance(bucketMs);
    return expired.length === ids.length || warnings.length > 0;
  });
  expect(warnings).toEqual([]);
});
