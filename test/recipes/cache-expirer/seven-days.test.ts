import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { prefix as prefixOf } from "../../../src/index.ts";
import { trackerOn } from "../../support/cache-lab.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { leasesOf, requestsServed } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

// Seven days in milliseconds: the clock of the trackers is the test's, etcd is real.

const ttlSeconds = 7 * 24 * 3_600;
const bucketMs = (ttlSeconds * 1_000) / 64;

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

test("an id untouched for seven days is gone one bucket later, and not a bucket earlier", async () => {
  const clock = new FakeClock();
  const prefix = lab.newPrefix();
  const { tracker, expired } = trackerOn(lab, clock, prefix, { ttlSeconds });
  await tracker.ready;
  await tracker.track("idle", {});
  await tracker.track("used", {});
  clock.advance(3 * 24 * 3_600_000);
  expect(await tracker.touch("used", {})).toBe(true);
  clock.advance(4 * 24 * 3_600_000 - 1);
  // A sweep that finds nothing has come to its end when a later one has begun.
  expect(Object.keys(await viewOf(lab.etcd, prefix)).toSorted()).toEqual(["idle", "used"]);
  for (let i = 0; i < 3 && expired.length === 0; i++) {
    clock.advance(bucketMs);
    await until(() => expired.length > 0, { timeoutMs: 300 }).catch(() => {});
  }
  expect(expired).toEqual(["idle expired"]);
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toEqual(["used"]);
  expect(await tracker.touch("idle", {})).toBe(false);
});

test("10 000 tracked keys use at most 66 leases, however long they are used", async () => {
  const clock = new FakeClock();
  const prefix = lab.newPrefix();
  const random = seeded("66 leases");
  const { tracker } = trackerOn(lab, clock, prefix, { ttlSeconds });
  await tracker.ready;
  const before = (await leasesOf(lab.endpoint)).length;
  const ids = Array.from({ length: 10_000 }, (_, i) => `proj-${i}`);
  await Promise.all(ids.map((id) => tracker.track(id, {})));
  let most = 0;
  for (let bucket = 0; bucket < 140; bucket++) {
    clock.advance(bucketMs);
    await Promise.all(Array.from({ length: 40 }, () => tracker.track(random.pick(ids), {})));
    most = Math.max(most, (await leasesOf(lab.endpoint)).length - before);
  }
  expect(most, `TEST_SEED=${random.seed}`).toBeLessThanOrEqual(66);
  // Each bucket had one, so all that were not over stood there at some time.
  expect(most).toBeGreaterThan(60);
  await lab.etcd.delete(prefixOf(prefix));
});

test("a million touches of 10 000 keys in one bucket send fewer than 200 requests", async () => {
  const clock = new FakeClock();
  const { tracker } = trackerOn(lab, clock, lab.newPrefix(), { ttlSeconds });
  await tracker.ready;
  const ids = Array.from({ length: 10_000 }, (_, i) => `proj-${i}`);
  await Promise.all(ids.map((id) => tracker.track(id, {})));
  clock.advance(bucketMs);
  const before = await requestsServed(lab.endpoint);
  let there = 0;
  for (let round = 0; round < 100; round++) {
    for (const touch of await Promise.all(ids.map((id) => tracker.touch(id, {})))) if (touch) there++;
  }
  const after = await requestsServed(lab.endpoint);
  const sent = Object.keys(after).reduce((sum, method) => sum + (after[method] ?? 0) - (before[method] ?? 0), 0);
  expect(there).toBe(1_000_000);
  console.log(`a million touches: ${sent} requests`);
  expect(sent).toBeLessThan(200);
  // One move each, in batches of 126, on one lease.
  expect(sent).toBeGreaterThanOrEqual(Math.ceil(10_000 / 126));
});

test("two processes that touch the same keys in any order never make one die early", async () => {
  const random = seeded("two trackers");
  const said = `TEST_SEED=${random.seed}`;
  const prefix = lab.newPrefix();
  // The second clock is ahead by nearly a bucket: as much as is allowed.
  const clocks = [new FakeClock(), new FakeClock()] as const;
  clocks[1].advance(bucketMs * 0.9);
  const trackers = clocks.map((clock) => trackerOn(lab, clock, prefix, { ttlSeconds }));
  await Promise.all(trackers.map(({ tracker }) => tracker.ready));
  const ids = Array.from({ length: 12 }, (_, i) => `proj-${i}`);
  const touchedAt = new Map<string, number>();
  const now = () => clocks[0].monotonicMs();
  let moves = 0;
  for (let step = 0; step < 600; step++) {
    const { tracker } = random.pick(trackers);
    // Often both at once, and some ids seldom.
    const chosen = ids.filter((_, i) => random.chance(0.6 / (i + 1)));
    const at = now();
    const both = random.chance(0.5) ? trackers.map((one) => one.tracker) : [tracker];
    await Promise.all(
      both.flatMap((one) =>
        chosen.map(async (id) => {
          if (random.chance(0.5)) await one.track(id, {});
          else if (!(await one.touch(id, {}))) return;
          touchedAt.set(id, at);
          moves++;
        }),
      ),
    );
    const passedMs = bucketMs * random.next() * 3;
    for (const clock of clocks) clock.advance(passedMs);
    if (step % 20 !== 0) continue;
    const view = await viewOf(lab.etcd, prefix);
    for (const [id, at] of touchedAt) {
      if (now() < at + ttlSeconds * 1_000) expect(view, `${id}, step ${step}, ${said}`).toHaveProperty([id]);
    }
  }
  expect(moves).toBeGreaterThan(500);
  const early = trackers.flatMap(({ expired }) => expired).filter((received) => !received.endsWith("expired"));
  expect(early, said).toEqual([]);
  expect(trackers[0]?.expired.length, said).toBeGreaterThan(0);
});
