import { expect, test } from "vitest";
import { MassRemovalError, SubscribeService, type SubscribeServiceOptions } from "../../../recipes/index.ts";
import { EtcdTimeoutError } from "../../../src/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// Minutes in milliseconds: etcd is in memory, and its clock, the client's and the list's are one.

/** A list of some instances, and the client that puts them. */
async function listOf(lab: VirtualLab, ids: readonly string[], options: SubscribeServiceOptions = {}) {
  const { etcd } = lab.client();
  for (const id of ids) await etcd.put(`/svc/${id}`, `10.0.0.1:${id.charCodeAt(0)}`);
  const { etcd: client, link } = lab.client();
  const services = new SubscribeService("/svc/", { client, ...options });
  lab.also(() => services.close());
  const recorder = new Recorder(services, [...subscribeEvents, "ejected", "readmitted"]);
  await lab.until(services.ready);
  recorder.clear();
  return { etcd, link, services, recorder };
}

test("a server that fails is ejected for ten seconds, then for twenty", async () => {
  await using lab = new VirtualLab("ejected");
  const { services, recorder } = await listOf(lab, ["a", "b"]);
  const [a] = services.list();
  if (!a) throw new Error("no instance");
  for (let failure = 0; failure < 5; failure++) services.report(a, new Error("away"));
  expect(recorder.names).toEqual(["ejected"]);
  await lab.pass(9_999);
  expect(recorder.names).toEqual(["ejected"]);
  await lab.pass(1);
  expect(recorder.names).toEqual(["ejected", "readmitted"]);
  services.report(a, new Error("still away"));
  await lab.pass(19_999);
  expect(recorder.names).toEqual(["ejected", "readmitted", "ejected"]);
  await lab.pass(1);
  expect(recorder.names).toEqual(["ejected", "readmitted", "ejected", "readmitted"]);
});

test("a mass removal is held back for a minute", async () => {
  await using lab = new VirtualLab("held back");
  const { etcd, services, recorder } = await listOf(lab, ["a", "b", "c", "d"], { maxDropRatio: 0.5 });
  for (const id of ["a", "b", "c"]) await etcd.delete(`/svc/${id}`);
  await lab.pass(59_000);
  expect(recorder.names).toEqual(["warning"]);
  expect(recorder.of("warning")[0]).toBeInstanceOf(MassRemovalError);
  expect(services.list()).toHaveLength(4);
  await lab.pass(2_000);
  expect(services.list().map(({ id }) => id)).toEqual(["d"]);
});

test("a call whose servers are frozen shares its half minute among three of them", async () => {
  await using lab = new VirtualLab("frozen");
  const { services } = await listOf(lab, ["a", "b", "c"]);
  const begun: [id: string, atMs: number][] = [];
  const startMs = lab.nowMs;
  const call = services.call(
    ({ id }) => {
      begun.push([id, lab.nowMs - startMs]);
      return new Promise(() => {});
    },
    { attempts: 3 },
  );
  call.catch(() => {});
  expect(await lab.until(call)).toBe(30_000);
  await expect(call).rejects.toBeInstanceOf(EtcdTimeoutError);
  // One of them may have done the work.
  await expect(call).rejects.toMatchObject({ retryable: true, outcomeUnknown: true });
  expect(begun.map(([, atMs]) => atMs)).toEqual([0, 10_000, 20_000]);
  expect(new Set(begun.map(([id]) => id)).size).toBe(3);
});

test("who waits for a list, here or in a view, waits for the time that was given", async () => {
  await using lab = new VirtualLab("waits");
  const { services } = await listOf(lab, ["a"]);
  for (const list of [services, services.view({ draining: false })]) {
    const wait = list.until(({ length }) => length === 2, { timeoutMs: 600_000 });
    wait.catch(() => {});
    expect(await lab.until(wait)).toBe(600_000);
    await expect(wait).rejects.toBeInstanceOf(EtcdTimeoutError);
    await expect(wait).rejects.toMatchObject({ retryable: true, outcomeUnknown: false });
  }
});

test("change waits for silence, and no longer than it may", async () => {
  await using lab = new VirtualLab("debounced");
  const { etcd, recorder } = await listOf(lab, ["a"], { changeDelayMs: 1_000, changeMaxDelayMs: 5_000 });
  for (let second = 0; second < 10; second++) {
    await etcd.put("/svc/a", `10.0.0.1:${second + 1}`);
    await lab.pass(900);
  }
  expect(recorder.names.filter((name) => name === "change")).toHaveLength(1);
  await lab.pass(1_000);
  expect(recorder.names.filter((name) => name === "change")).toHaveLength(2);
});

test("a view waits for its own changeDelayMs, not for that of its list", async () => {
  await using lab = new VirtualLab("delays of views");
  const { etcd, services, recorder } = await listOf(lab, ["a"], { changeDelayMs: 1_000, changeMaxDelayMs: 5_000 });
  const view = new Recorder(services.view({}), ["change"]);
  const waiting = new Recorder(services.view({}, { changeDelayMs: 2_000, changeMaxDelayMs: 3_000 }), ["change"]);
  // The first list of a view comes after the call.
  await lab.pass(0);
  for (const each of [view, waiting]) each.clear();
  for (let put = 0; put < 3; put++) {
    await etcd.put("/svc/a", `10.0.0.1:${put + 1}`);
    await lab.pass(10);
  }
  const changes = () => [view, waiting, recorder].map(({ names }) => names.filter((name) => name === "change").length);
  expect(changes()).toEqual([3, 0, 0]);
  await lab.pass(1_000);
  expect(changes()).toEqual([3, 0, 1]);
  await lab.pass(1_000);
  expect(changes()).toEqual([3, 1, 1]);
  expect(() => services.view({}, { changeMaxDelayMs: 5_000 })).toThrow(
    "SubscribeService.view: changeMaxDelayMs says how long changeDelayMs may wait; give that, too",
  );
});

test("an outage of ten minutes leaves the list with its age, and is over within the longest pause", async () => {
  await using lab = new VirtualLab("outage");
  const { etcd, link, services } = await listOf(lab, ["a"]);
  services.on("warning", () => {});
  link.cut();
  await etcd.put("/svc/b", "10.0.0.1:2");
  await lab.pass(600_000);
  expect([services.status, services.staleForMs]).toEqual(["stale", 600_000]);
  expect(services.list().map(({ id }) => id)).toEqual(["a"]);
  link.join();
  await lab.pass(5_000);
  expect([services.status, services.staleForMs]).toEqual(["live", 0]);
  expect(services.list().map(({ id }) => id)).toEqual(["a", "b"]);
});

test("a new server comes to its full share within its slow start, by the client's clock and chance", async () => {
  await using lab = new VirtualLab("slow start");
  const { etcd, services } = await listOf(lab, ["a"], { balancer: "random", slowStartMs: 600_000 });
  services.pick();
  await etcd.put("/svc/b", "10.0.0.1:2");
  await lab.pass(0);
  const shareOfB = () =>
    Array.from({ length: 2_000 }, () => services.pick()).filter(({ id }) => id === "b").length / 2_000;
  expect(shareOfB()).toBeLessThan(0.1);
  await lab.pass(300_000);
  const half = shareOfB();
  expect(half).toBeGreaterThan(0.2);
  expect(half).toBeLessThan(0.4);
  await lab.pass(300_000);
  expect(shareOfB()).toBeGreaterThan(0.45);
});

test("lists of clients with the same chance choose the same servers", async () => {
  await using lab = new VirtualLab("chance");
  for (const balancer of ["round-robin", "random", "weighted-round-robin", "p2c", "least-requests"] as const) {
    const [one, other] = [await listOf(lab, ["a", "b", "c"], { balancer }), await listOf(lab, [], { balancer })];
    const picks = [one, other].map(({ services }) => Array.from({ length: 50 }, () => services.pick().id));
    expect(picks[0], balancer).toEqual(picks[1]);
  }
});

test("a retry among many servers draws again from all of them, and leaves out those tried only for a strategy that clings to one", async () => {
  await using lab = new VirtualLab("long list");
  const { etcd } = lab.client();
  for (let index = 0; index < 300; index++) await etcd.put(`/svc/${index}`, `10.0.0.1:${index}`);
  const lengths: number[] = [];
  let turn = 0;
  const strategies = { another: () => turn++, first: () => 0 };
  for (const [name, next] of Object.entries(strategies)) {
    const services = new SubscribeService("/svc/", {
      client: etcd,
      balancer: (servers) => {
        lengths.push(servers.length);
        return servers[next() % servers.length] as (typeof servers)[number];
      },
    });
    lab.also(() => services.close());
    await lab.until(services.ready);
    const called: string[] = [];
    lengths.length = 0;
    const calling = services.call(
      ({ id }) => {
        called.push(id);
        throw new Error("away");
      },
      { attempts: 3, timeoutMs: 60_000 },
    );
    calling.catch(() => {});
    await lab.until(calling);
    expect(new Set(called).size, name).toBe(3);
    if (name === "another") expect(lengths).toEqual([300, 300, 300]);
    else expect(lengths).toEqual([300, 300, 300, 300, 300, 299, 300, 300, 300, 300, 298]);
  }
});
