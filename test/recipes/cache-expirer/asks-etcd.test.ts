import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { prefix as prefixRange } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { trackerOn } from "../../support/cache-lab.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 12: track() promises what is true in etcd after the call, whatever this process knew before it.

const ttlSeconds = 7 * 24 * 3_600;
const bucketMs = (ttlSeconds * 1_000) / 64;

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

/** Two trackers of one prefix, both following it; the second one reaches etcd through a proxy. */
async function twoTrackers() {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const prefix = lab.newPrefix();
  const near = trackerOn(lab, new FakeClock(), prefix, { ttlSeconds });
  const clock = new FakeClock();
  const far = { clock, ...trackerOn(lab, clock, prefix, { ttlSeconds }, [proxy.endpoint]) };
  await Promise.all([near.tracker.ready, far.tracker.ready]);
  const known = async (id: string) => {
    await near.tracker.track(id, {});
    await until(() => far.tracker.size === near.tracker.size);
  };
  return { proxy, prefix, near, far, known, inEtcd: (id: string) => lab.etcd.get(prefix + id) };
}

test("an id that was evicted elsewhere, and reported, is there again after a track", async () => {
  const { proxy, near, far, known, inEtcd } = await twoTrackers();
  await known("proj");
  await known("sentinel");
  // Events arrive here only after track() was called.
  proxy.delay(30);
  await near.tracker.evict("proj", {});
  await far.tracker.track("proj", {});
  expect(await inEtcd("proj")).toBeDefined();
  // The eviction comes by before this one, and hurts nothing any more.
  await near.tracker.evict("sentinel", {});
  await until(() => far.expired.includes("sentinel evicted"));
  expect(far.expired).toEqual(["sentinel evicted"]);
  expect(await inEtcd("proj")).toBeDefined();
});

test("behind a black hole a track does not resolve, though its key is known in the bucket of now", async () => {
  const { proxy, near, far, known, inEtcd } = await twoTrackers();
  await known("proj");
  proxy.blackHole();
  let tracked = false;
  const tracking = far.tracker.track("proj", {}).then(() => {
    tracked = true;
  });
  expect(far.tracker.status).toBe("live");
  await near.tracker.evict("proj", {});
  expect(await inEtcd("proj")).toBeUndefined();
  expect(tracked).toBe(false);
  await proxy.heal();
  await tracking;
  expect(await inEtcd("proj")).toBeDefined();
});

test("a track does not take the answer of one that etcd executed before the call", async () => {
  const { proxy, far, inEtcd } = await twoTrackers();
  // Its lease is there already.
  await far.tracker.track("other", {});
  proxy.blackHole("toClient");
  const before = far.tracker.track("proj", {});
  await until(() => inEtcd("proj"));
  await lab.etcd.delete((await inEtcd("proj"))?.key as string);
  const tracking = far.tracker.track("proj", {});
  await proxy.heal();
  await Promise.all([before, tracking]);
  expect(await inEtcd("proj")).toBeDefined();
});

test("a touch does not take the answer of one that etcd executed before the call", async () => {
  const { proxy, far, inEtcd } = await twoTrackers();
  await far.tracker.track("proj", {});
  far.clock.advance(bucketMs);
  // Its lease is there already.
  await far.tracker.track("other", {});
  const revision = (await inEtcd("proj"))?.modRevision;
  proxy.blackHole("toClient");
  const before = far.tracker.touch("proj", {});
  await until(async () => (await inEtcd("proj"))?.modRevision !== revision);
  await lab.etcd.delete((await inEtcd("proj"))?.key as string);
  const touching = far.tracker.touch("proj", {});
  await proxy.heal();
  expect(await before).toBe(true);
  expect(await touching).toBe(false);
});

test("ids that one tracker tracks and another touches, many at a time, are forgotten by neither", async () => {
  const prefix = lab.newPrefix();
  const clock = new FakeClock();
  const tracking = trackerOn(lab, new FakeClock(), prefix, { ttlSeconds });
  const touching = trackerOn(lab, clock, prefix, { ttlSeconds });
  await Promise.all([tracking.tracker.ready, touching.tracker.ready]);
  const ids = Array.from({ length: 1_000 }, (_, i) => `proj-${i}`);
  // Another client writes something else meanwhile, so that the headers of answers are ahead of what they found.
  let writing = true;
  const noise = async () => {
    while (writing) await lab.etcd.put("/test/noise", "");
  };
  const noises = [noise(), noise()];
  const untracked = ids.values();
  const work = async () => {
    for (const id of untracked) {
      const tracked = tracking.tracker.track(id, {});
      while (!(await touching.tracker.touch(id, {})));
      await tracked;
    }
  };
  await Promise.all(Array.from({ length: 50 }, work));
  writing = false;
  await Promise.all(noises);
  // The mirrors have passed all that the answers said when they show this.
  await lab.etcd.put(`${prefix}end`, "by hand");
  for (const { tracker } of [tracking, touching]) {
    await until(() => tracker.size === ids.length + 1, { message: () => `it knows ${tracker.size} ids` });
  }
  // The one that is left sweeps all of them when their time is over.
  await tracking.tracker.end();
  clock.advance(66 * bucketMs);
  await until(async () => (await lab.etcd.range(prefixRange(prefix), { countOnly: true })).count === 1);
});
