import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { keyRange, prefix as prefixRange } from "../../../src/index.ts";
import { revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf, requestsServed } from "../../support/gateway/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { groupEvents, groupOf, registerMany, untilThere, viewFor } from "./group-lab.ts";

const many = 2_000;

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** How many requests of each kind etcd served while `work` ran. */
async function servedBy(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await requestsServed(lab.endpoint);
  await work();
  const after = await requestsServed(lab.endpoint);
  return Object.fromEntries(
    Object.entries(after).flatMap(([method, count]) => {
      const served = count - (before[method] ?? 0);
      return served === 0 ? [] : [[method, served]];
    }),
  );
}

test("two thousand instances are registered by a handful of requests, on one lease and one watch", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const group = groupOf(lab, prefix, 5, { client });
  const served = await servedBy(async () => {
    registerMany(group, many);
    await group.ready;
  });
  // One more may prove to the watch that its history is etcd's.
  expect(served.Txn).toBeLessThanOrEqual(Math.ceil(many / 127) + 2);
  const { Txn: _, LeaseGrant: grants, ...others } = served;
  expect(grants).toBe(1);
  const rest = Object.values(others).reduce((sum, count) => sum + count, 0);
  expect(rest, JSON.stringify(others)).toBeLessThan(8);
  expect(group.size).toBe(many);
  expect(await leasesOf(lab.endpoint)).toHaveLength(1);
  await untilThere(lab, group, viewFor(group.members));
});

test("a thousand updates and a thousand closes travel together, and what is left is exact", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { client: lab.client() });
  const members = registerMany(group, many);
  await group.ready;
  const served = await servedBy(async () => {
    await Promise.all([
      ...members.slice(0, many / 2).map((member) => member.close()),
      ...members.slice(many / 2).map((member) => member.update({ address: "10.9.9.9:80" })),
    ]);
  });
  expect(served.Txn).toBeLessThan(2 * Math.ceil(many / 127) + 4);
  const left = members.slice(many / 2).map(({ id }) => [id, "10.9.9.9:80"]);
  expect(await viewOf(lab.etcd, prefix)).toEqual(Object.fromEntries(left));
  expect(group.members.map(({ id }) => id)).toEqual(left.map(([id]) => id));
});

test("one, half or all of its keys deleted by hand: each comes back, and its loss is reported once", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { client: lab.client() });
  const members = registerMany(group, 1_000);
  await group.ready;
  const wanted = viewFor(members);
  for (const range of [`${prefix}m1`, keyRange(`${prefix}m`, `${prefix}m5`), prefixRange(prefix)]) {
    const recorder = new Recorder(group, groupEvents);
    const { deleted } = await lab.etcd.delete(range);
    await until(() => recorder.of("registered").length >= deleted);
    await untilThere(lab, group, wanted);
    expect(recorder.of("lost")).toHaveLength(deleted);
    expect(recorder.of("warning")).toEqual([]);
    group.removeAllListeners();
  }
});

test("closing the group is one revocation: all keys go at one revision", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { client: lab.client() });
  const members = registerMany(group, many);
  await group.ready;
  const before = await revisionOf(lab.etcd);
  await group.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  expect(await revisionOf(lab.etcd)).toBe(before + 1);
  expect(await leasesOf(lab.endpoint)).toEqual([]);
  expect(members.every(({ status }) => status === "closed")).toBe(true);
  expect(group.size).toBe(0);
});
