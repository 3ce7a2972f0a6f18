import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { z } from "zod";
import { ClientClosedError, type ClusterNode, InvalidOptionError, SubscribeService } from "../../../recipes/index.ts";
import { EtcdClient } from "../../../src/index.ts";
import { systemClock } from "../../../src/internal/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { monitorEvents, monitorOf, namesOf } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function received({ events }: Recorder): string[] {
  return events
    .filter(({ name }) => ["up", "down", "changed"].includes(name))
    .map(({ name, args }) => `${name} ${(args[0] as ClusterNode).name}`);
}

test("nodes that join are up, with their info and since when, in the order of their names", async () => {
  const prefix = lab.newPrefix();
  const watcher = monitorOf<{ zone: string }>(lab, prefix, { client: lab.client() });
  const recorder = new Recorder(watcher, monitorEvents);
  await watcher.ready;
  expect(watcher.nodes()).toEqual([]);
  const began = Date.now();
  const cluster = monitorOf<{ zone: string }>(lab, prefix);
  // No two looks at the clock are in the same millisecond.
  let looks = 0;
  const now = vi.spyOn(systemClock, "wallMs").mockImplementation(() => Date.now() + ++looks);
  for (const name of ["b", "a"]) await cluster.join(name, { zone: name.toUpperCase() }).ready;
  now.mockRestore();
  await until(() => watcher.nodes().length === 2);
  const [a, b] = watcher.nodes();
  expect([a?.name, b?.name]).toEqual(["a", "b"]);
  expect(a).toEqual({
    name: "a",
    info: { zone: "A" },
    upSince: expect.any(Number),
    lastChange: a?.upSince,
    draining: false,
  });
  expect(a?.upSince).toBeGreaterThanOrEqual(began);
  expect(Object.isFrozen(a) && Object.isFrozen(watcher.nodes())).toBe(true);
  expect(watcher.nodes()).toBe(watcher.nodes());
  expect(received(recorder)).toEqual(["up b", "up a"]);
});

test("a node that is ready is in the list of the monitor that it joined", async () => {
  const monitor = monitorOf(lab, lab.newPrefix());
  await monitor.ready;
  const missing: string[] = [];
  for (let number = 0; number < 50; number++) {
    const { name, ready } = monitor.join(`node-${number}`, {});
    await ready;
    if (!namesOf(monitor).includes(name)) missing.push(name);
  }
  expect(missing).toEqual([]);
});

test("it is the list that other readers of endpoints see: the address from the info, else the name", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf(lab, prefix);
  await monitor.ready;
  await Promise.all([monitor.join("a", { address: "10.0.0.1:80" }).ready, monitor.join("b", undefined).ready]);
  expect(monitor.nodes()).toMatchObject([
    { name: "a", info: { address: "10.0.0.1:80" } },
    { name: "b", info: undefined },
  ]);
  const services = new SubscribeService(prefix, { client: lab.etcd });
  lab.also(() => services.close());
  await services.until((list) => list.length === 2);
  expect(services.list().map(({ address }) => address)).toEqual(["10.0.0.1:80", "b"]);
  const view = await viewOf(lab.etcd, prefix);
  expect(JSON.parse(view.a ?? "")).toEqual({
    Op: 0,
    Addr: "10.0.0.1:80",
    Metadata: { info: { address: "10.0.0.1:80" }, upSince: expect.any(Number), changedAt: expect.any(Number) },
  });
});

test("a node without info is listed where the schema takes that, and is invalid where it does not", async () => {
  const prefix = lab.newPrefix();
  const zone = z.object({ zone: z.string() });
  const lenient = monitorOf<z.infer<typeof zone> | undefined>(lab, prefix, { info: zone.optional() });
  const strict = monitorOf<z.infer<typeof zone>>(lab, prefix, { info: zone });
  const recorder = new Recorder(strict, monitorEvents);
  await Promise.all([lenient.ready, strict.ready]);
  await lenient.join("a", undefined).ready;
  expect(lenient.nodes()).toMatchObject([{ name: "a", info: undefined }]);
  await until(() => recorder.of("invalid").length === 1);
  expect(strict.nodes()).toEqual([]);
  expect(() => strict.join("b", undefined as never)).toThrow("info is rejected by the schema");
});

test("an update is a change: newer lastChange, the same upSince, and what it was before", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf<{ load: number }>(lab, prefix);
  const recorder = new Recorder(monitor, monitorEvents);
  const membership = monitor.join("a", { load: 1 });
  await Promise.all([monitor.ready, membership.ready]);
  await until(() => monitor.nodes().length === 1);
  const [before] = monitor.nodes();
  await until(() => Date.now() > (before?.lastChange ?? 0));
  await membership.update({ load: 2 });
  await until(() => monitor.nodes()[0]?.info.load === 2);
  const [after] = monitor.nodes();
  expect(after?.upSince).toBe(before?.upSince);
  expect(after?.lastChange).toBeGreaterThan(before?.lastChange ?? 0);
  expect(recorder.events.find(({ name }) => name === "changed")?.args).toEqual([after, before]);
  expect(received(recorder)).toEqual(["up a", "changed a"]);
});

test("a node that leaves is seen draining, then down; without a drain it is down", async () => {
  const prefix = lab.newPrefix();
  const watcher = monitorOf(lab, prefix, { client: lab.client() });
  const recorder = new Recorder(watcher, monitorEvents);
  const cluster = monitorOf(lab, prefix);
  await watcher.ready;
  const drains = cluster.join("drains", {});
  await drains.ready;
  const leaves = cluster.join("leaves", {});
  await leaves.ready;
  await until(() => watcher.nodes().length === 2);
  const [before] = watcher.nodes();
  await until(() => Date.now() > (before?.lastChange ?? 0));
  const leaving = drains.leave({ drainMs: 500 });
  await until(() => watcher.nodes()[0]?.draining);
  expect(watcher.nodes()[0]?.lastChange).toBeGreaterThan(before?.lastChange ?? 0);
  expect(watcher.nodes()[0]?.upSince).toBe(before?.upSince);
  await leaving;
  await until(() => namesOf(watcher).join() === "leaves");
  await leaves.leave();
  await until(() => watcher.nodes().length === 0);
  expect(received(recorder)).toEqual(["up drains", "up leaves", "changed drains", "down drains", "down leaves"]);
  expect(recorder.of<ClusterNode>("down").map(({ draining }) => draining)).toEqual([true, false]);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  await expect(leaves.update({})).rejects.toBeInstanceOf(ClientClosedError);
  // The name is free again, and to leave once more with the old one changes nothing.
  const again = cluster.join("leaves", {});
  await again.ready;
  await leaves.leave();
  expect(() => cluster.join("leaves", {})).toThrow("has joined here already");
  expect(again.status).toBe("registered");
});

test("values that are no node are reported and kept out; the others stay", async () => {
  const prefix = lab.newPrefix();
  const schema = z.object({ zone: z.string() });
  const monitor = monitorOf(lab, prefix, { info: schema });
  const recorder = new Recorder(monitor, monitorEvents);
  await monitor.ready;
  const endpoint = (metadata: unknown) => JSON.stringify({ Op: 0, Addr: "x:1", Metadata: metadata });
  const garbage = {
    plain: "10.0.0.1:80",
    json: "{",
    empty: "",
    bare: endpoint(null),
    times: endpoint({ info: { zone: "a" }, upSince: "yesterday", changedAt: 1 }),
    info: endpoint({ info: { zone: 7 }, upSince: 1, changedAt: 1 }),
  };
  for (const [name, value] of Object.entries(garbage)) await lab.etcd.put(prefix + name, value);
  const membership = monitor.join("good", { zone: "a" });
  await membership.ready;
  await until(() => monitor.nodes().length === 1);
  expect(namesOf(monitor)).toEqual(["good"]);
  expect(recorder.of<string>("invalid").map((key) => key.slice(prefix.length))).toEqual(Object.keys(garbage));
  const errors = recorder.events.filter(({ name }) => name === "invalid").map(({ args }) => (args[1] as Error).message);
  expect(errors.at(-1)).toContain("info.zone");
  // One that becomes garbage is down.
  await lab.etcd.put(`${prefix}other`, endpoint({ info: { zone: "b" }, upSince: 1, changedAt: 2 }));
  await lab.etcd.put(`${prefix}other`, "garbage!{");
  await until(() => recorder.of<ClusterNode>("down").length === 1);
  expect(recorder.of<ClusterNode>("down")[0]).toEqual({
    name: "other",
    info: { zone: "b" },
    upSince: 1,
    lastChange: 2,
    draining: false,
  });
  await expect(membership.update({ zone: 7 } as never)).rejects.toThrow(
    "Membership.update: info is rejected by the schema",
  );
  expect(() => monitor.join("bad", {} as never)).toThrow(InvalidOptionError);
});

test("close() leaves with all that joined here and stops following; then nothing joins", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf(lab, prefix);
  const memberships = ["a", "b"].map((name) => monitor.join(name, {}));
  await Promise.all([monitor.ready, ...memberships.map(({ ready }) => ready)]);
  await Promise.all([monitor.close(), monitor.close(), monitor[Symbol.asyncDispose]()]);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  expect(monitor.status).toBe("closed");
  expect(memberships.map(({ status }) => status)).toEqual(["closed", "closed"]);
  expect(() => monitor.join("c", {})).toThrow(ClientClosedError);
});

test("closed before ready: ready rejects, a membership that had not joined never does", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf(lab, prefix);
  const { ready } = monitor.join("a", {});
  await monitor.close();
  await expect(monitor.ready).rejects.toBeInstanceOf(ClientClosedError);
  await expect(ready).rejects.toBeInstanceOf(ClientClosedError);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("two processes under one name: the newer has it, the older is passive, says so, and returns when it is free", async () => {
  const prefix = lab.newPrefix();
  const [older, newer] = [monitorOf(lab, prefix, { client: lab.client() }), monitorOf(lab, prefix)];
  const recorder = new Recorder(older, monitorEvents);
  const first = older.join("a", { n: 1 });
  await first.ready;
  const second = newer.join("a", { n: 2 });
  await second.ready;
  await until(() => first.status === "passive");
  expect(recorder.of<{ code: string }>("warning").some(({ code }) => code === "ETCD_CONFLICT")).toBe(true);
  await second.leave();
  await until(() => first.status === "registered");
  await until(() => (older.nodes()[0]?.info as { n: number } | undefined)?.n === 1);
});

test("when its client is closed it fails, once, says so, and keeps its list", async () => {
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const monitor = monitorOf(lab, lab.newPrefix(), { client });
  const recorder = new Recorder(monitor, monitorEvents);
  const membership = monitor.join("a", {});
  await Promise.all([monitor.ready, membership.ready]);
  await until(() => monitor.nodes().length === 1);
  await client.close();
  await until(() => monitor.status === "failed" && membership.status === "failed");
  expect(recorder.of("failed")).toHaveLength(1);
  expect(namesOf(monitor)).toEqual(["a"]);
});

test("an info that was refused does not come back with what follows it", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf<{ address: string }>(lab, prefix);
  const membership = monitor.join("a", { address: "10.0.0.1:80" });
  await until(() => monitor.nodes().length === 1);
  await expect(membership.update({ address: "a b" })).rejects.toBeInstanceOf(InvalidOptionError);
  const infos: unknown[] = [];
  monitor.on("changed", ({ info }) => infos.push(info));
  // In one turn of the event loop, too.
  const refused = [outcomeOf(membership.update({ address: "a b" })), outcomeOf(membership.update({ address: "" }))];
  await membership.leave({ drainMs: 500 });
  for (const { error } of await Promise.all(refused)) expect(error).toBeInstanceOf(InvalidOptionError);
  await until(() => monitor.nodes().length === 0);
  expect(new Set(infos.map((info) => JSON.stringify(info)))).toEqual(new Set(['{"address":"10.0.0.1:80"}']));
});
