import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { decodeTracking } from "../../../recipes/cache-expirer/buckets.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { trackerOn } from "../../support/cache-lab.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 12: keys move to later buckets only, by whichever process, however late the touch arrives.

const ttlSeconds = 7 * 24 * 3_600;
const bucketMs = (ttlSeconds * 1_000) / 64;

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

async function endOf(key: string): Promise<number | undefined> {
  const kv = await lab.etcd.get(key);
  return kv && decodeTracking(kv.text)?.expiresAt;
}

test("a touch that was on its way for long never moves a key back", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const prefix = lab.newPrefix();
  const [clockA, clockB] = [new FakeClock(), new FakeClock()];
  const a = trackerOn(lab, clockA, prefix, { ttlSeconds });
  const b = trackerOn(lab, clockB, prefix, { ttlSeconds }, [proxy.endpoint]);
  await Promise.all([a.tracker.ready, b.tracker.ready]);
  await a.tracker.track("proj", {});
  await until(() => b.tracker.size === 1);
  for (const clock of [clockA, clockB]) clock.advance(bucketMs);
  // Its lease is there already, so that one request is all that is left to send.
  await b.tracker.track("other", {});
  proxy.blackHole();
  const late = b.tracker.touch("proj", {});
  // It has left, for the bucket of then, when whatever waits for nothing but its turn has run.
  await settled();
  for (const clock of [clockA, clockB]) clock.advance(20 * bucketMs);
  expect(await a.tracker.touch("proj", {})).toBe(true);
  const end = await endOf(`${prefix}proj`);
  await proxy.heal();
  await late.catch(() => {});
  await b.tracker.evict("other", {});
  expect(await endOf(`${prefix}proj`)).toBe(end);
});

test("a tracker whose clock is behind does not move a key back, also when it does not follow etcd", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const prefix = lab.newPrefix();
  const [ahead, behind] = [new FakeClock(), new FakeClock()];
  ahead.advance(5 * bucketMs);
  const a = trackerOn(lab, ahead, prefix, { ttlSeconds });
  const b = trackerOn(lab, behind, prefix, { ttlSeconds }, [proxy.endpoint]);
  await Promise.all([a.tracker.ready, b.tracker.ready]);
  await a.tracker.track("proj", {});
  const end = await endOf(`${prefix}proj`);
  await until(() => b.tracker.size === 1);
  await proxy.down();
  await until(() => b.tracker.status === "stale");
  const touching = b.tracker.touch("proj", {});
  await proxy.up();
  expect(await touching).toBe(true);
  expect(await endOf(`${prefix}proj`)).toBe(end);
});

test("a sweep leaves what a tracker whose clock is a bucket behind has promised", async () => {
  const prefix = lab.newPrefix();
  const [behind, ahead] = [new FakeClock(), new FakeClock()];
  // To the end of a bucket.
  behind.advance(bucketMs - (behind.wallMs() % bucketMs) - 1);
  ahead.advance(behind.monotonicMs() + 0.9 * bucketMs);
  const sweeping = trackerOn(lab, ahead, prefix, { ttlSeconds });
  const touching = trackerOn(lab, behind, prefix, { ttlSeconds });
  await Promise.all([sweeping.tracker.ready, touching.tracker.ready]);
  await touching.tracker.track("older", {});
  for (const clock of [behind, ahead]) clock.advance(bucketMs);
  await touching.tracker.track("promised", {});
  await until(() => sweeping.tracker.size === 2);
  // A moment before the promise ends, by the clock that made it.
  for (const clock of [behind, ahead]) clock.advance(64 * bucketMs - 5);
  // Past by both clocks by now, and swept in the same batch as whatever else was due.
  await until(async () => !("older" in (await viewOf(lab.etcd, prefix))));
  expect(await viewOf(lab.etcd, prefix)).toHaveProperty("promised");
});

test("a touch is free only while etcd is followed: a key that went unseen is not there", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const prefix = lab.newPrefix();
  const { tracker } = trackerOn(lab, new FakeClock(), prefix, { ttlSeconds }, [proxy.endpoint]);
  await tracker.ready;
  await tracker.track("proj", {});
  // A write that the mirror has reported too.
  await lab.etcd.put(`${prefix}sentinel`, "x");
  await until(() => tracker.size === 2);
  await proxy.down();
  await until(() => tracker.status === "stale");
  await lab.etcd.delete(`${prefix}proj`);
  const touching = tracker.touch("proj", {});
  await proxy.up();
  expect(await touching).toBe(false);
});

test("in one batch a key that is gone fails its own touch and no other", async () => {
  const prefix = lab.newPrefix();
  const clock = new FakeClock();
  const { tracker } = trackerOn(lab, clock, prefix, { ttlSeconds });
  await tracker.ready;
  const ids = Array.from({ length: 300 }, (_, i) => `proj-${i}`);
  await Promise.all(ids.map((id) => tracker.track(id, {})));
  clock.advance(bucketMs);
  const gone = new Set(["proj-0", "proj-126", "proj-127", "proj-299"]);
  for (const id of gone) await lab.etcd.delete(prefix + id);
  const there = await Promise.all(ids.map((id) => tracker.touch(id, {})));
  expect(ids.filter((_, i) => !there[i])).toEqual([...gone]);
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toHaveLength(300 - gone.size);
});
