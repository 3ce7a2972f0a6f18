import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { putOp } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("the first list comes as puts and one change before ready resolves, never inside the constructor", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["b", "a", "c"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix);
  const recorder = new Recorder(services, subscribeEvents);
  expect(services.status).toBe("connecting");
  expect(services.list()).toEqual([]);
  let seenBeforeReady: string[] = [];
  await services.ready.then(() => {
    seenBeforeReady = recorder.names;
  });
  expect(seenBeforeReady).toEqual(["put", "put", "put", "change", "status"]);
  expect(recorder.of("status")).toEqual(["live"]);
  const [list, changes] = recorder.events[3]?.args ?? [];
  expect(list).toBe(services.list());
  expect((list as ServiceInstance[]).map(({ id }) => id)).toEqual(["a", "b", "c"]);
  expect(changes).toEqual({ puts: recorder.of("put"), deletes: [] });
  expect(services.status).toBe("live");
  expect(services.staleForMs).toBe(0);
});

test("an empty first list is emitted as one change", async () => {
  const services = lab.subscribe(lab.newPrefix());
  const recorder = new Recorder(services, subscribeEvents);
  await services.ready;
  expect(recorder.names).toEqual(["change", "status"]);
  expect(recorder.events[0]?.args).toEqual([[], { puts: [], deletes: [] }]);
});

test("an instance is all that is known of it", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}eu/m1`, "10.0.0.1:80", 5, { metadata: { zone: "a" }, weight: 2.5 });
  await register.ready;
  const services = lab.subscribe(prefix);
  await services.ready;
  const kv = await lab.etcd.get(`${prefix}eu/m1`);
  expect(services.list()).toEqual([
    {
      key: `${prefix}eu/m1`,
      id: "eu/m1",
      address: "10.0.0.1:80",
      weight: 2.5,
      metadata: { zone: "a" },
      draining: false,
      createRevision: kv?.createRevision,
      modRevision: kv?.modRevision,
      lease: kv?.lease,
    },
  ]);
  expect(services.revision).toBeGreaterThanOrEqual(kv?.modRevision ?? Number.NaN);
});

test("a prefix without its slash is read with it: neighbours never bleed in", async () => {
  const base = lab.newPrefix().slice(0, -1);
  await lab.etcd.put(`${base}/m1`, "10.0.0.1:80");
  await lab.etcd.put(`${base}2/m1`, "10.0.0.2:80");
  await lab.etcd.put(base, "10.0.0.3:80");
  const services = lab.subscribe(base);
  await services.ready;
  expect(services.prefix).toBe(`${base}/`);
  expect(services.list().map(({ key }) => key)).toEqual([`${base}/m1`]);
  await lab.etcd.put(`${base}2/m2`, "10.0.0.2:80");
  await lab.etcd.put(`${base}/m2`, "10.0.0.4:80");
  await services.until((list) => list.length > 1);
  expect(services.list().map(({ key }) => key)).toEqual([`${base}/m1`, `${base}/m2`]);
});

test("list and instances are frozen; the same array as long as nothing changes", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  const services = lab.subscribe(prefix);
  await services.ready;
  const list = services.list();
  expect(services.list()).toBe(list);
  expect(Object.isFrozen(list)).toBe(true);
  expect(Object.isFrozen(list[0])).toBe(true);
  await lab.etcd.put(`${prefix}m2`, "10.0.0.2:80");
  await services.until(({ length }) => length === 2);
  expect(list).toHaveLength(1);
  expect(services.list()[0]).toBe(list[0]);
});

test("the list is made only for those who ask: a thousand changes without a listener make none", async () => {
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix);
  await services.ready;
  let puts = 0;
  services.on("put", () => puts++);
  const frozen: number[] = [];
  const freeze = Object.freeze;
  Object.freeze = ((value: object) => {
    if (Array.isArray(value) && value.length > 0 && "address" in (value[0] as object)) frozen.push(value.length);
    return freeze(value);
  }) as typeof Object.freeze;
  try {
    for (let index = 0; index < 100; index++) await lab.etcd.put(`${prefix}m${index}`, "10.0.0.1:80");
    await until(() => puts === 100);
    expect(frozen).toEqual([]);
    services.list();
    services.list();
    services.pick();
    services.pick();
    expect(frozen).toEqual([100]);
  } finally {
    Object.freeze = freeze;
  }
});

test("no server listens: ready stays pending, the status is connecting, and warnings say why", async () => {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  await proxy.down();
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix, { client: lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 300 }) });
  let ready = false;
  void services.ready.then(() => {
    ready = true;
  });
  const recorder = new Recorder(services, subscribeEvents);
  await until(() => recorder.events.length >= 2);
  expect(recorder.names).toEqual(recorder.names.map(() => "warning"));
  const [first] = recorder.of<Error & { code: string }>("warning");
  expect(first).toMatchObject({ code: "ETCD_UNAVAILABLE" });
  expect(first?.message).toContain(proxy.endpoint);
  expect(services.status).toBe("connecting");
  expect(services.staleForMs).toBeGreaterThan(0);
  expect(ready).toBe(false);
  expect(() => services.pick()).toThrow(expect.objectContaining({ code: "ETCD_NO_SERVERS" }));
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  await proxy.up();
  await services.ready;
  expect(addressesOf(services.list())).toEqual(["10.0.0.1:80"]);
});

test("a listener of `change` that does not read a long list has none made; those who read it share one", async () => {
  const prefix = lab.newPrefix();
  const ids = Array.from({ length: 1_100 }, (_, index) => `m${index}`);
  const batches = Array.from({ length: 11 }, (_, index) => ids.slice(index * 100, (index + 1) * 100));
  for (const batch of batches) {
    await lab.etcd.txn({ success: batch.map((id) => putOp(prefix + id, "10.0.0.1:80")) });
  }
  const services = lab.subscribe(prefix);
  const [one, another]: (readonly ServiceInstance[])[][] = [[], []];
  services.on("change", (list) => one?.push(list));
  services.on("change", (list) => another?.push(list));
  await services.ready;
  const made: number[] = [];
  const freeze = Object.freeze;
  Object.freeze = ((value: object) => {
    if (Array.isArray(value) && value.length > 1_000) made.push(value.length);
    return freeze(value);
  }) as typeof Object.freeze;
  try {
    for (let index = 0; index < 20; index++) await lab.etcd.put(`${prefix}more${index}`, "10.0.0.1:80");
    await until(() => one?.length === 21);
    expect(made).toEqual([]);
    // Read late, each is what it was then.
    expect(one?.map((list) => list.length)).toEqual(Array.from({ length: 21 }, (_, index) => 1_100 + index));
    expect(made).toHaveLength(21);
    for (const [index, list] of (another ?? []).entries()) expect(list).toBe(one?.[index]);
    expect(services.list()).toEqual(one?.at(-1));
    expect(made).toHaveLength(21);
  } finally {
    Object.freeze = freeze;
  }
});
