import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeTracking } from "../../../recipes/cache-expirer/buckets.ts";
import { CacheExpirer } from "../../../recipes/index.ts";
import type { Link } from "../../../testing/fake-etcd/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// GUARANTEES 12 and 13: trackers of one prefix can have different TTLs, as in a rolling deploy, and none of them makes
// an id end before the time that another one has promised.

const shortSeconds = 64;
const longSeconds = 6_400;
const longBucketMs = 100_000;
const backMs = 3_600_000;

let lab: VirtualLab;
beforeEach(() => {
  lab = new VirtualLab("two TTLs");
});
afterEach(() => lab[Symbol.asyncDispose]());

async function made<T>(call: Promise<T>): Promise<T> {
  await lab.until(call, { stepMs: 1 });
  return call;
}

async function twoTrackers(options: { maxDropRatio?: number } = {}) {
  const expired: string[] = [];
  const warnings: string[] = [];
  const links: Link[] = [];
  const trackerOf = (name: string, ttlSeconds: number) => {
    const onExpire = (id: string, reason: string) => void expired.push(`${name}: ${id} ${reason}`);
    const { etcd: client, link } = lab.client();
    links.push(link);
    const expirer = new CacheExpirer("cache/", { client, ttlSeconds, onExpire, ...options });
    expirer.on("warning", (error) => void warnings.push(`${name}: ${error.name}`));
    lab.also(() => expirer.close());
    return expirer;
  };
  const [short, long] = [trackerOf("short", shortSeconds), trackerOf("long", longSeconds)];
  await made(Promise.all([short.ready, long.ready]));
  const { etcd } = lab.client();
  const revisionOf = async (id: string) => (await made(etcd.get(`cache/${id}`)))?.modRevision;
  return { short, long, expired, warnings, links, revisionOf };
}

test("an id that a tracker of a shorter TTL touches lives for the longer one", async () => {
  const { short, long, expired } = await twoTrackers();
  await made(long.track("a"));
  await lab.pass(1_000);
  expect(await made(short.touch("a"))).toBe(true);
  await made(short.track("a"));
  await lab.pass(1_000);
  expect(await made(long.touch("a"))).toBe(true);
  await lab.pass(longSeconds * 1_000 - 2_000);
  expect([short.size, long.size, expired]).toEqual([1, 1, []]);
  await lab.pass(2 * longBucketMs + 2_000);
  expect(expired.toSorted()).toEqual(["long: a expired", "short: a expired"]);
});

test("a touch with the shorter TTL sends nothing while the longer one covers it, and then moves the id", async () => {
  const { short, long, expired, revisionOf } = await twoTrackers();
  await made(long.track("a"));
  const revision = await revisionOf("a");
  for (let touches = 0; touches < 100; touches++) {
    await lab.pass(60_000);
    expect(await made(short.touch("a"))).toBe(true);
  }
  expect(await revisionOf("a")).toBe(revision);
  for (let touches = 0; touches < 20; touches++) {
    await lab.pass(60_000);
    expect(await made(short.touch("a"))).toBe(true);
  }
  expect(await revisionOf("a")).not.toBe(revision);
  expect(expired).toEqual([]);
});

test("an id lives for the longer TTL, too, when the shorter one touches it after the clock was set back", async () => {
  const { short, long, expired, revisionOf } = await twoTrackers();
  await made(long.track("a"));
  lab.clock.step(-backMs);
  expect(await made(long.touch("a"))).toBe(true);
  const revision = await revisionOf("a");
  expect(await made(short.touch("a"))).toBe(true);
  expect(await revisionOf("a")).not.toBe(revision);
  await lab.pass(longSeconds * 1_000 - 2_000);
  expect([short.size, long.size, expired]).toEqual([1, 1, []]);
});

test("an id that the shorter TTL put while the clock was ahead lives for the longer one that touches it", async () => {
  const { short, long, expired } = await twoTrackers();
  const aheadMs = longSeconds * 1_000 + longBucketMs;
  lab.clock.step(aheadMs);
  await made(short.track("a"));
  lab.clock.step(-aheadMs);
  expect(await made(long.touch("a"))).toBe(true);
  await lab.pass(longSeconds * 1_000 - 2_000);
  expect([short.size, long.size, expired]).toEqual([1, 1, []]);
});

test("an id of the shorter TTL that is evicted before its time is reported so by the tracker of the longer one", async () => {
  const { short, expired } = await twoTrackers();
  await made(short.track("a"));
  await lab.pass(10_000);
  await made(short.evict("a"));
  await lab.pass(1_000);
  expect(expired.toSorted()).toEqual(["long: a evicted", "short: a evicted"]);
});

test("of an id of the longer TTL that went within a bucket of that the tracker of the shorter one says evicted", async () => {
  const { long, expired } = await twoTrackers();
  await made(long.track("a"));
  const { expiresAt = 0 } = decodeTracking((await made(lab.client().etcd.get("cache/a")))?.text ?? "") ?? {};
  // Within a bucket of the longer TTL, and not of the shorter one.
  await lab.pass(expiresAt - lab.clock.wallMs() - longBucketMs / 2);
  await made(long.evict("a"));
  await lab.pass(1_000);
  expect(expired.toSorted()).toEqual(["long: a expired", "short: a evicted"]);
});

test("ids of the shorter TTL that went early in an outage are held back by the tracker of the longer one", async () => {
  const { short, long, expired, warnings, links } = await twoTrackers({ maxDropRatio: 0.5 });
  for (const id of ["a", "b", "c", "d"]) await made(short.track(id));
  await lab.pass(1_000);
  for (const link of links) link.cut();
  for (const id of lab.memory.leaseIds) lab.memory.expireLease(id);
  lab.memory.compact(lab.memory.revision);
  for (const link of links) link.join();
  await lab.pass(20_000);
  expect([short.size, long.size]).toEqual([0, 0]);
  expect(warnings.filter((warning) => warning.includes("MassRemoval")).toSorted()).toEqual([
    "long: MassRemovalError",
    "short: MassRemovalError",
  ]);
  expect(expired).toEqual([]);
});
