import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeTracking } from "../../../recipes/cache-expirer/buckets.ts";
import { CacheExpirer } from "../../../recipes/index.ts";
import type { EtcdClient } from "../../../src/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// A wall clock that is set back makes no touch free whose key ends too early: leases know nothing of it.

const ttlSeconds = 640;
const bucketMs = 10_000;
const backMs = 3_600_000;

let lab: VirtualLab;
beforeEach(() => {
  lab = new VirtualLab("clock set back");
});
afterEach(() => lab[Symbol.asyncDispose]());

function expirerOf(client: EtcdClient) {
  const expired: string[] = [];
  const onExpire = (id: string, reason: string) => void expired.push(`${id} ${reason}`);
  const expirer = new CacheExpirer("cache/", { client, ttlSeconds, onExpire });
  lab.also(() => expirer.close());
  return { expirer, expired };
}

async function made<T>(call: Promise<T>): Promise<T> {
  await lab.until(call, { stepMs: 1 });
  return call;
}

async function keyOf(id: string) {
  const { etcd } = lab.client();
  const kv = await made(etcd.get(`cache/${id}`));
  return kv && { ...decodeTracking(kv.text), modRevision: kv.modRevision };
}

/** Touches the id each minute for three TTLs. */
async function use(expirer: CacheExpirer): Promise<void> {
  for (let passedMs = 0; passedMs < 3 * ttlSeconds * 1_000; passedMs += 60_000) {
    await lab.pass(60_000);
    expect(await made(expirer.touch("a"))).toBe(true);
  }
}

test("an id that is touched lives on, and its time is never moved to an earlier one", async () => {
  const { expirer, expired } = expirerOf(lab.client().etcd);
  await made(expirer.ready);
  await made(expirer.track("a"));
  const before = await keyOf("a");
  lab.clock.step(-backMs);
  await use(expirer);
  expect(expired).toEqual([]);
  expect((await keyOf("a"))?.expiresAt).toBe(before?.expiresAt);
});

test.each([0, 1, 2, 3, 64])(
  "an id lives for its TTL after any touch when the clock goes back by %d buckets",
  async (by) => {
    const { expirer, expired } = expirerOf(lab.client().etcd);
    await made(expirer.ready);
    await made(expirer.track("a"));
    lab.clock.step(-by * bucketMs);
    // Through three buckets, so that the last touch is a free one of each kind.
    for (let touches = 0; touches < 7; touches++) {
      await lab.pass(0.45 * bucketMs);
      expect(await made(expirer.touch("a"))).toBe(true);
    }
    await lab.pass(ttlSeconds * 1_000 - 2_000);
    expect([await made(expirer.touch("a")), expired]).toEqual([true, []]);
  },
);

test("no touch is free while the id stands in a bucket that is to come, and each is again after that", async () => {
  const { expirer } = expirerOf(lab.client().etcd);
  await made(expirer.ready);
  await made(expirer.track("a"));
  lab.clock.step(-backMs);
  const revisions: number[] = [];
  for (let touches = 0; touches < 3; touches++) {
    expect(await made(expirer.touch("a"))).toBe(true);
    revisions.push((await keyOf("a"))?.modRevision ?? 0);
  }
  expect(new Set(revisions).size).toBe(3);
  lab.clock.step(backMs);
  for (let touches = 0; touches < 3; touches++) expect(await made(expirer.touch("a"))).toBe(true);
  expect((await keyOf("a"))?.modRevision).toBe(revisions.at(-1));
});

test("an id that another tracker has put on its lease lives on, too, when it is touched here", async () => {
  const [here, other] = [expirerOf(lab.client().etcd), expirerOf(lab.client().etcd)];
  await made(Promise.all([here.expirer.ready, other.expirer.ready]));
  await made(other.expirer.track("a"));
  await lab.pass(0);
  expect(here.expirer.size).toBe(1);
  lab.clock.step(-backMs);
  await use(here.expirer);
  expect([here.expired, other.expired]).toEqual([[], []]);
});

test("an id put while the clock was ahead lives on, too, when the clock is set right", async () => {
  const [here, other] = [expirerOf(lab.client().etcd), expirerOf(lab.client().etcd)];
  await made(Promise.all([here.expirer.ready, other.expirer.ready]));
  lab.clock.step(backMs);
  await made(other.expirer.track("a"));
  await lab.pass(0);
  lab.clock.step(-backMs);
  await use(here.expirer);
  expect([here.expired, other.expired]).toEqual([[], []]);
});

test("an id that is not touched any more is gone after its time", async () => {
  const { expirer, expired } = expirerOf(lab.client().etcd);
  await made(expirer.ready);
  await made(expirer.track("a"));
  lab.clock.step(-backMs);
  await use(expirer);
  await lab.pass(ttlSeconds * 1_000 + 3 * bucketMs);
  // It stood at a time that is still to come.
  expect(expired).toEqual(["a evicted"]);
});
