import { afterEach, beforeEach, expect, test } from "vitest";
import { CacheExpirer } from "../../../recipes/index.ts";
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

async function twoTrackers() {
  const expired: string[] = [];
  const trackerOf = (name: string, ttlSeconds: number) => {
    const onExpire = (id: string, reason: string) => void expired.push(`${name}: ${id} ${reason}`);
    const expirer = new CacheExpirer("cache/", { client: lab.client().etcd, ttlSeconds, onExpire });
    lab.also(() => expirer.close());
    return expirer;
  };
  const [short, long] = [trackerOf("short", shortSeconds), trackerOf("long", longSeconds)];
  await made(Promise.all([short.ready, long.ready]));
  const { etcd } = lab.client();
  const revisionOf = async (id: string) => (await made(etcd.get(`cache/${id}`)))?.modRevision;
  return { short, long, expired, revisionOf };
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
