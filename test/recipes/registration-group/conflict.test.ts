import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { FaultProxy } from "../../../testing/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { addressOf, groupEvents, groupOf, registerMany, untilThere, viewFor } from "./group-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("two groups on the same keys do not fight: the second takes them, the first waits and returns", async () => {
  const prefix = lab.newPrefix();
  const first = groupOf(lab, prefix, 5, { client: lab.client() });
  const recorder = new Recorder(first, groupEvents);
  const mine = registerMany(first, 300);
  await first.ready;
  const second = groupOf(lab, prefix, 5, { client: lab.client() });
  const theirs = Array.from({ length: 200 }, (_, index) => second.register(`m${index}`, "10.7.7.7:80"));
  await second.ready;
  await until(() => mine.slice(0, 200).every(({ status }) => status === "passive"));
  expect(mine.slice(200).every(({ status }) => status === "registered")).toBe(true);
  expect(theirs.every(({ status }) => status === "registered")).toBe(true);
  expect(recorder.of("conflict")).toHaveLength(200);
  expect(recorder.of("lost")).toHaveLength(200);
  // An update of one that waits is not a way to take it back.
  const updated = mine[0]?.update({ address: "10.1.2.3:80" });
  await second.close();
  await updated;
  await untilThere(lab, first, { ...viewFor(mine), m0: "10.1.2.3:80" });
});

test("what the first registration does with another owner's key is up to the instance, else to the group", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["replace", "wait", "error"]) await lab.etcd.put(prefix + id, "10.6.6.6:80");
  const group = groupOf(lab, prefix, 5, { onConflict: "wait" });
  const replace = group.register("replace", "10.0.0.1:80", { onConflict: "replace" });
  const wait = group.register("wait", "10.0.0.2:80");
  const error = group.register("error", "10.0.0.3:80", { onConflict: "error" });
  await replace.ready;
  await expect(error.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  expect(error.status).toBe("failed");
  await until(() => wait.status === "passive");
  expect(await viewOf(lab.etcd, prefix)).toEqual({
    replace: "10.0.0.1:80",
    wait: "10.6.6.6:80",
    error: "10.6.6.6:80",
  });
  await lab.etcd.delete(`${prefix}wait`);
  await wait.ready;
  // Its id is free again.
  const again = group.register("error", "10.0.0.4:80", { onConflict: "replace" });
  await again.ready;
  expect(group.size).toBe(3);
});

test("closing an instance that was replaced leaves the other's key alone, and so does closing the group", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  const members = registerMany(group, 3);
  await group.ready;
  for (const { key } of members) await lab.etcd.put(key, "10.6.6.6:80");
  await until(() => members.every(({ status }) => status === "passive"));
  await members[0]?.close();
  await group.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0: "10.6.6.6:80", m1: "10.6.6.6:80", m2: "10.6.6.6:80" });
});

test("a restart under the same ids takes the keys of the dead process over, in a handful of requests", async () => {
  const prefix = lab.newPrefix();
  const dead = await lab.etcd.grantLease(60, { keepAlive: false });
  lab.also(() => dead.revoke());
  for (let index = 0; index < 200; index++) await lab.etcd.put(`${prefix}m${index}`, addressOf(index), { lease: dead });
  const group = groupOf(lab, prefix, 5);
  const members = registerMany(group, 200);
  await group.ready;
  await untilThere(lab, group, viewFor(members));
  expect((await dead.timeToLive()).keys).toEqual([]);
});

test("a key that was free before the registration is no conflict, though the list that the group shares still shows it", async () => {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint });
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "10.6.6.6:80");
  const services = lab.subscribe(prefix, { client });
  await services.ready;
  // Events arrive here a moment after they were acknowledged there.
  proxy.delay(30);
  await lab.etcd.delete(`${prefix}m1`);
  const group = groupOf(lab, prefix, 5, { client, onConflict: "error" });
  const member = group.register("m1", "10.0.0.1:80");
  await member.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
  await lab.etcd.put(`${prefix}m2`, "10.6.6.6:80");
  await expect(group.register("m2", "10.0.0.2:80").ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
});
