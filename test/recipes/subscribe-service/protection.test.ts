import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { MassRemovalError, type ServiceInstance } from "../../../recipes/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Instances on leases of their own, which are not renewed. */
async function onLeases(prefix: string, count: number) {
  const leases = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const lease = await lab.etcd.grantLease(600, { keepAlive: false });
      await lab.etcd.put(`${prefix}m${index}`, `10.0.0.1:${index + 1}`, { lease });
      return lease;
    }),
  );
  lab.also(() => Promise.all(leases.map((lease) => lease.revoke())).then(() => {}));
  return leases;
}

const idsOf = (instances: readonly ServiceInstance[]) => instances.map(({ id }) => id);

test("90 % of the leases are revoked at once: the list stays and says so; what returns is emitted as put", async () => {
  const prefix = lab.newPrefix();
  const leases = await onLeases(prefix, 50);
  const services = lab.subscribe(prefix, { maxDropRatio: 0.5 });
  const view = services.view({ draining: false });
  await services.ready;
  await services.until(({ length }) => length === 50);
  const before = services.list();
  const recorder = new Recorder(services, subscribeEvents);
  await Promise.all(leases.slice(0, 45).map((lease) => lease.revoke()));
  await until(() => services.heldBack === 45);
  expect(services.list().map(({ address }) => address)).toEqual(before.map(({ address }) => address));
  expect(view.list()).toHaveLength(50);
  const [warning] = recorder.of<MassRemovalError>("warning");
  expect(warning).toBeInstanceOf(MassRemovalError);
  expect(warning).toMatchObject({
    code: "ETCD_MASS_REMOVAL",
    message: `25 of 50 services under ${prefix} are gone at once; what is still listed stays for 60000 ms`,
  });
  expect(recorder.names).toEqual(["warning"]);
  const picked = new Set(Array.from({ length: 100 }, () => services.pick().id));
  expect(picked.size).toBe(50);

  recorder.clear();
  await lab.etcd.put(`${prefix}m0`, "10.0.0.9:1");
  await until(() => recorder.names.includes("put"));
  expect(recorder.names).toEqual(["put", "change"]);
  expect(recorder.events[0]?.args).toMatchObject([{ address: "10.0.0.9:1" }, { address: "10.0.0.1:1" }]);
  expect(services.heldBack).toBe(44);
});

test("what is held back is emitted when its time is over", async () => {
  const prefix = lab.newPrefix();
  const leases = await onLeases(prefix, 4);
  const services = lab.subscribe(prefix, { maxDropRatio: 0.5, dropHoldMs: 300 });
  await services.ready;
  const recorder = new Recorder(services, subscribeEvents);
  await Promise.all(leases.slice(0, 3).map((lease) => lease.revoke()));
  expect(idsOf(await services.until(({ length }) => length === 1))).toEqual(["m3"]);
  expect(recorder.names.filter((name) => name === "delete")).toHaveLength(3);
  expect(services.heldBack).toBe(0);
});

test("a wiped etcd empties no list with maxDropRatio, and the services that return replace what was held", async () => {
  await using own = await RegistryLab.start();
  const prefix = own.newPrefix();
  for (const id of ["a", "b", "c"]) await own.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = own.subscribe(prefix, { maxDropRatio: 1 });
  await services.ready;
  const recorder = new Recorder(services, subscribeEvents);
  await own.cluster.wipe();
  await until(() => services.heldBack === 3, { timeoutMs: 20_000 });
  expect(idsOf(services.list())).toEqual(["a", "b", "c"]);
  for (const id of ["a", "b", "c"]) await own.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  await until(() => services.heldBack === 0);
  expect(recorder.names).not.toContain("delete");
  expect(services.list()).toHaveLength(3);
});

test("one that goes alone is not picked at once, and emitted a second later", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b", "c", "d"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, { maxDropRatio: 0.5 });
  await services.ready;
  const recorder = new Recorder(services, subscribeEvents);
  await lab.etcd.delete(`${prefix}b`);
  await until(() => !Array.from({ length: 8 }, () => services.pick().id).includes("b"));
  expect(idsOf(services.list())).toEqual(["a", "b", "c", "d"]);
  expect(recorder.names).toEqual([]);
  // A view that begins now does not pick it either.
  const view = services.view({});
  expect(Array.from({ length: 8 }, () => view.pick().id)).not.toContain("b");
  await services.until(({ length }) => length === 3);
  expect(recorder.names).toEqual(["delete", "change"]);
});

test("all but the draining ones are gone: what is listed is still picked", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  await lab.etcd.put(`${prefix}d`, '{"Op":0,"Addr":"a:1","Metadata":{"etcd-recipes/draining":true}}');
  const services = lab.subscribe(prefix, { maxDropRatio: 0.9 });
  await services.ready;
  await lab.etcd.delete(`${prefix}a`);
  await until(async () => services.revision >= ((await lab.etcd.get(`${prefix}d`))?.modRevision ?? 0) + 1);
  expect(services.pick().id).toBe("a");
});

test("change is emitted when there is a pause, with all that happened; the first instance at once", async () => {
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix, { changeDelayMs: 150 });
  const sizes: number[] = [];
  services.on("change", (list, { puts }) => sizes.push(list.length, puts.length));
  await services.ready;
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  await until(() => sizes.length === 4);
  await Promise.all(["b", "c", "d"].map((id) => lab.etcd.put(prefix + id, "10.0.0.1:80")));
  await lab.etcd.put(`${prefix}e`, "10.0.0.1:80");
  await lab.etcd.delete(`${prefix}e`);
  await services.until(({ length }) => length === 4);
  await until(() => sizes.length >= 6);
  expect(sizes.slice(0, 4)).toEqual([0, 0, 1, 1]);
  expect(sizes.at(-2)).toBe(4);
  // In one, unless etcd took longer than the pause in between.
  const received = sizes.filter((_, index) => index % 2 === 1).slice(2);
  expect(received.reduce((sum, puts) => sum + puts, 0)).toBe(3);
});

test("a server that fails is ejected, shown as such, comes back, and goes again at its first failure", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b", "c", "d"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, {
    outlierDetection: { consecutiveFailures: 2, baseEjectionMs: 200, maxEjectedRatio: 0.25 },
  });
  await services.ready;
  const events: string[] = [];
  services.on("ejected", ({ id, ejected }, { reason, forMs, times, error }) => {
    events.push(`${id} ${ejected} ${reason} ${forMs} ${times} ${(error as Error).message}`);
  });
  services.on("readmitted", ({ id, ejected }) => events.push(`${id} back ${ejected}`));
  const fail = (id: string) => {
    const server = services.list().find((instance) => instance.id === id) as ServiceInstance;
    services.report(server, new Error("refused"));
  };
  fail("b");
  fail("b");
  // There is room for one only.
  fail("c");
  fail("c");
  expect(events).toEqual(["b true consecutive failures 200 1 refused"]);
  expect(services.list().map(({ ejected }) => ejected)).toEqual([undefined, true, undefined, undefined]);
  expect(Array.from({ length: 9 }, () => services.pick().id)).not.toContain("b");
  // What it says of itself does not take it back.
  await lab.etcd.put(`${prefix}b`, "10.0.0.2:80");
  await services.until((list) => list[1]?.address === "10.0.0.2:80");
  expect(services.list()[1]?.ejected).toBe(true);
  await until(() => events.length === 2);
  expect(events[1]).toBe("b back undefined");
  expect(services.list()[1]).toMatchObject({ address: "10.0.0.2:80" });
  fail("b");
  expect(events[2]).toBe("b true consecutive failures 400 2 refused");
  // Another one under its key begins anew; what came of calls to the old one is not counted.
  const old = services.list()[1] as ServiceInstance;
  await lab.etcd.delete(`${prefix}b`);
  await lab.etcd.put(`${prefix}b`, "10.0.0.3:80");
  await services.until((list) => list.some(({ address }) => address === "10.0.0.3:80"));
  expect(services.list()[1]?.ejected).toBeUndefined();
  services.report(old, new Error("late"));
  services.report(old, new Error("late"));
  expect(services.list()[1]?.ejected).toBeUndefined();
});

test("a successor that has put over the key of one that was ejected begins anew; one that recovers does not", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  const leases = await Promise.all([1, 2, 3].map(() => lab.etcd.grantLease(60)));
  const put = (address: string, lease: number) => lab.etcd.put(`${prefix}b`, address, { lease: leases[lease] });
  await put("10.0.0.2:80", 0);
  const services = lab.subscribe(prefix, { outlierDetection: { consecutiveFailures: 1, maxEjectedRatio: 0.5 } });
  await services.ready;
  const [, failing] = services.list() as [ServiceInstance, ServiceInstance];
  services.report(failing, new Error("refused"));
  const seen = async ({ revision }: { revision: number }) => {
    const [, b] = await services.until((list) => list[1]?.modRevision === revision);
    return b?.ejected;
  };
  expect(await seen(await put("10.0.0.2:80", 1))).toBe(true);
  expect(await seen(await put("10.0.0.3:80", 1))).toBe(true);
  expect(await seen(await put("10.0.0.4:80", 2))).toBeUndefined();
  services.report(failing, new Error("late"));
  expect(services.list()[1]?.ejected).toBeUndefined();
});

test("one that was ejected and has left makes room for another", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b", "c", "d"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, { outlierDetection: { consecutiveFailures: 1, maxEjectedRatio: 0.34 } });
  await services.ready;
  const fail = (at: number) => services.report(services.list()[at] as ServiceInstance, new Error("refused"));
  fail(1);
  fail(2);
  expect(services.list().map(({ ejected }) => ejected)).toEqual([undefined, true, undefined, undefined]);
  await lab.etcd.delete(`${prefix}b`);
  await services.until(({ length }) => length === 3);
  fail(1);
  expect(services.list().map(({ id, ejected }) => `${id} ${ejected}`)).toEqual([
    "a undefined",
    "c true",
    "d undefined",
  ]);
});

test("when all are ejected they are chosen all the same", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, { outlierDetection: { consecutiveFailures: 1, maxEjectedRatio: 1 } });
  await services.ready;
  for (const server of services.list()) services.report(server, new Error("refused"));
  expect(services.list().map(({ ejected }) => ejected)).toEqual([true, true]);
  expect([services.pick().id, services.pick().id].sort()).toEqual(["a", "b"]);
  expect(await services.call(({ id }) => id)).toMatch(/[ab]/);
});

test("without outlier detection no server is ejected", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, { outlierDetection: false });
  await services.ready;
  for (let failure = 0; failure < 30; failure++) services.report(services.pick(), new Error("refused"));
  expect(services.list().map(({ ejected }) => ejected)).toEqual([undefined, undefined]);
});

test("what cannot be read is no service that is gone", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b"]) await lab.etcd.put(prefix + id, "10.0.0.1:80");
  for (const id of ["x", "y", "z"]) await lab.etcd.put(prefix + id, "{garbage");
  const services = lab.subscribe(prefix, { maxDropRatio: 0.5 });
  const recorder = new Recorder(services, subscribeEvents);
  await services.ready;
  expect(recorder.names).not.toContain("warning");
  expect(services.heldBack).toBe(0);
});

test("after close() the list stays as it is, whatever is reported", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b"]) await lab.etcd.put(prefix + id, "10.0.0.1:80");
  const services = lab.subscribe(prefix, { outlierDetection: { consecutiveFailures: 1 } });
  await services.ready;
  const before = services.list();
  await services.close();
  services.report(before[0] as ServiceInstance, new Error("late"));
  expect(services.list()).toBe(before);
});

test("what a listener causes is emitted after what it was called with", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  const services = lab.subscribe(prefix, { outlierDetection: { consecutiveFailures: 1, maxEjectedRatio: 1 } });
  const view = services.view({});
  await view.ready;
  const received: string[] = [];
  services.on("put", (instance) => services.report(instance, new Error("refused")));
  view.on("put", ({ id }) => received.push(`put ${id}`));
  view.on("ejected", ({ id }) => received.push(`ejected ${id}`));
  await lab.etcd.put(`${prefix}b`, "10.0.0.1:81");
  await until(() => received.length === 2);
  expect(received).toEqual(["put b", "ejected b"]);
  // And it is reported as ever afterwards.
  await lab.etcd.delete(`${prefix}b`);
  await view.until(({ length }) => length === 1);
});

test("a listener of change hears nothing of what was gathered for another one that left", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  const services = lab.subscribe(prefix, { changeDelayMs: 200 });
  await services.ready;
  const first = () => {};
  services.on("change", first);
  await lab.etcd.put(`${prefix}b`, "10.0.0.1:81");
  await services.until(({ length }) => length === 2);
  services.off("change", first);
  await lab.etcd.delete(`${prefix}b`);
  await services.until(({ length }) => length === 1);
  const received: string[][] = [];
  services.on("change", (_list, { puts, deletes }) => received.push(idsOf([...puts, ...deletes])));
  await lab.etcd.put(`${prefix}c`, "10.0.0.1:82");
  await until(() => received.length > 0);
  expect(received).toEqual([["c"]]);
});

test("a list that is closed by its balancer, while removals are held back, emits no more", async () => {
  const prefix = lab.newPrefix();
  const leases = await onLeases(prefix, 10);
  let closing: Promise<void> | undefined;
  const balancer = {
    pick: <Server>(servers: readonly Server[]) => servers[0] as Server,
    changed: () => {
      if (services.heldBack > 0) closing ??= services.close();
    },
  };
  const services = lab.subscribe(prefix, { maxDropRatio: 0.5, balancer });
  await services.until(({ length }) => length === 10);
  const recorder = new Recorder(services, subscribeEvents);
  await Promise.all(leases.map((lease) => lease.revoke()));
  await until(() => closing !== undefined);
  await closing;
  expect(recorder.of("status")).toContain("closed");
  expect(recorder.names).not.toContain("warning");
});
