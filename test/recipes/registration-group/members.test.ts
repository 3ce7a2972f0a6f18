import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type GroupMember, RegistrationGroup } from "../../../recipes/registration-group/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { groupEvents, groupOf, memberEvents } from "./group-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("each instance has its own value, format, updates and events", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix.slice(0, -1), 5);
  const plain = group.register("plain", "10.0.0.1:80");
  const recorder = new Recorder(plain, memberEvents);
  const endpoint = group.register("endpoint", "10.0.0.2:80", { metadata: { zone: "a" }, weight: 3 });
  expect([plain.status, plain.key, plain.id]).toEqual(["registering", `${prefix}plain`, "plain"]);
  await Promise.all([plain.ready, endpoint.ready, group.ready]);
  await endpoint.update({ weight: 7 });
  await plain.update({ address: "10.0.0.9:80" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({
    plain: "10.0.0.9:80",
    endpoint: '{"Op":0,"Addr":"10.0.0.2:80","Metadata":{"zone":"a","etcd-recipes/weight":7}}',
  });
  await plain.close();
  await plain.close();
  expect(recorder.names).toEqual(["status", "registered", "status", "closed"]);
  expect(recorder.of("status")).toEqual(["registered", "closed"]);
  expect(group.get("plain")).toBeUndefined();
  expect(group.get("endpoint")).toBe(endpoint);
  await expect(plain.update({ address: "10.0.0.1:80" })).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});

test("updates that come faster than etcd takes them become few writes, and all resolve with the newest", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  const member = group.register("m1", "10.0.0.0:80");
  await member.ready;
  await Promise.all(Array.from({ length: 200 }, (_, index) => member.update({ address: `10.0.0.${index + 1}:80` })));
  expect(await lab.etcd.get(member.key)).toMatchObject({ text: "10.0.0.200:80" });
  expect((await lab.etcd.get(member.key))?.version).toBeLessThan(10);
});

test("an instance that is closed and registered again at once stands there with the new value, each time", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  let member = group.register("m1", "10.0.0.0:80");
  const closing: Promise<void>[] = [];
  for (let round = 1; round <= 20; round++) {
    if (round % 3 > 0) await member.ready.catch(() => {});
    closing.push(member.close());
    member = group.register("m1", `10.0.0.${round}:80`);
  }
  await member.ready;
  await Promise.all(closing);
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.20:80" });
  expect(group.size).toBe(1);
});

test("who waits for an id that is being left neither cuts the draining short nor loses what it puts after it", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  const first = group.register("m1", "10.0.1.0:80", { weight: 2 });
  await first.ready;
  const start = await revisionOf(lab.etcd);
  const closing = first.close({ drainMs: 300 });
  // One that waits and is closed before its turn changes nothing for the one after it.
  const given = group.register("m1", "10.0.1.9:80");
  const giving = given.close();
  const next = group.register("m1", "10.0.1.1:80", { onConflict: "error" });
  const recorder = new Recorder(next, memberEvents);
  await Promise.all([closing, giving, next.ready]);
  const history = await historyOf(lab.etcd, first.key, start + 1);
  expect(history.map(({ type, kv }) => (type === "put" ? kv.text.replace(/.*draining.*/, "draining") : type))).toEqual([
    "draining",
    "delete",
    "10.0.1.1:80",
  ]);
  expect(recorder.names).toEqual(["status", "registered"]);
});

test("an instance that drains is seen draining, then gone; a plain one is gone first", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  const endpoint = group.register("endpoint", "10.0.0.1:80", { weight: 2 });
  const plain = group.register("plain", "10.0.0.2:80");
  await group.ready;
  const services = lab.subscribe(prefix);
  await services.ready;
  const began = performance.now();
  const closing = Promise.all([endpoint.close({ drainMs: 600 }), plain.close({ drainMs: 600 })]);
  const [first] = await services.until((list) => list.length === 1 && list[0]?.draining === true);
  expect(first?.id).toBe("endpoint");
  await closing;
  expect(performance.now() - began).toBeGreaterThan(590);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("a group that drains marks all that can say so, waits, and revokes its lease", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  group.register("endpoint", "10.0.0.1:80", { weight: 2 });
  group.register("plain", "10.0.0.2:80");
  await group.ready;
  const began = performance.now();
  const closing = group.close({ drainMs: 500 });
  await until(async () => {
    const there = await viewOf(lab.etcd, prefix);
    return Object.keys(there).join() === "endpoint" && there.endpoint?.includes("draining");
  });
  await closing;
  expect(performance.now() - began).toBeGreaterThan(490);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("a listener that throws hurts neither its instance nor the others, and is emitted as a warning", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5);
  const boom = () => {
    throw new Error("boom");
  };
  for (const name of groupEvents) if (name !== "warning") group.on(name as "closed", boom);
  const members = ["m1", "m2", "m3"].map((id) => group.register(id, "10.0.0.1:80"));
  for (const name of memberEvents) if (name !== "warning") members[0]?.on(name as "closed", boom);
  const recorders = [group, members[0] as GroupMember].map((emitter) => new Recorder(emitter, ["warning"]));
  await group.ready;
  await lab.etcd.delete(`${prefix}m1`);
  await until(async () => (await lab.etcd.get(`${prefix}m1`)) !== undefined);
  await group.close();
  for (const recorder of recorders) {
    expect(recorder.of<{ code: string }>("warning")[0]).toMatchObject({ code: "ETCD_LISTENER_FAILED" });
  }
  expect(members.map(({ status }) => status)).toEqual(["closed", "closed", "closed"]);
});

test("a closed client ends the group and all that is in it, each reported once", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const group = groupOf(lab, prefix, 5, { client });
  const recorder = new Recorder(group, groupEvents);
  const members = ["m1", "m2"].map((id) => group.register(id, "10.0.0.1:80"));
  await group.ready;
  const recorders = members.map((member) => new Recorder(member, memberEvents));
  recorder.clear();
  const updating = client.close();
  await updating;
  await until(() => members.every(({ status }) => status === "failed"));
  expect(recorder.names.filter((name) => name === "failed")).toHaveLength(1);
  expect(recorder.of<{ code: string }>("failed")[0]).toMatchObject({ code: "ETCD_CLOSED" });
  expect(recorder.names).not.toContain("memberFailed");
  for (const { names } of recorders) expect(names.filter((name) => name === "failed")).toHaveLength(1);
  expect(() => group.register("m3", "10.0.0.1:80")).toThrow(expect.objectContaining({ code: "ETCD_CLOSED" }));
  await expect(group.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await group.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("closed before it could begin: nothing is written, what waits rejects with the reason, a client of its own is closed", async () => {
  const prefix = lab.newPrefix();
  const group = new RegistrationGroup(prefix, 5, { client: { endpoints: lab.cluster.endpoints } });
  const member = group.register("m1", "10.0.0.1:80");
  const { ready } = group;
  await group.close();
  await expect(member.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await expect(ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  expect(() => group.register("m2", "10.0.0.1:80")).toThrow(expect.objectContaining({ code: "ETCD_CLOSED" }));
});

test("ready waits for what is registered so far, and not for what is closed meanwhile", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}taken`, "10.0.0.9:80");
  const group = groupOf(lab, prefix, 5);
  await group.ready;
  group.register("m1", "10.0.0.1:80");
  const waiting = group.register("taken", "10.0.0.2:80", { onConflict: "wait" });
  const { ready } = group;
  await until(() => waiting.status === "passive");
  await waiting.close();
  await ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80", taken: "10.0.0.9:80" });
});

test("an update that changes nothing says that the key stands there, and puts it if it does not", async () => {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 60, { client: lab.client({ endpoints: proxy.endpoint }) });
  const member = group.register("m1", "10.0.0.1:80");
  await member.ready;
  await member.update({ address: "10.0.0.1:80" });
  // The deletion arrives here a moment after it was acknowledged there.
  proxy.delay(30);
  await lab.etcd.delete(`${prefix}m1`);
  await member.update({ address: "10.0.0.1:80" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
});
