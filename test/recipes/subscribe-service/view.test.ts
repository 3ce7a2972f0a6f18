import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { InstanceFilter, ServiceInstance, SubscribeServiceOptions } from "../../../recipes/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const schema = z.object({ zone: z.string(), version: z.string(), tier: z.string().optional() });
type Metadata = z.infer<typeof schema>;

async function put(key: string, metadata: Record<string, unknown>): Promise<void> {
  await lab.etcd.put(key, JSON.stringify({ Op: 0, Addr: "10.0.0.1:80", Metadata: metadata }));
}

async function fleet(options: SubscribeServiceOptions<Metadata> = {}) {
  const prefix = lab.newPrefix();
  await put(`${prefix}a1`, { zone: "a", version: "1.0.0", tier: "gold" });
  await put(`${prefix}a2`, { zone: "a", version: "2.0.0" });
  await put(`${prefix}b1`, { zone: "b", version: "1.0.0" });
  await put(`${prefix}b2`, { zone: "b", version: "2.0.0", "etcd-recipes/draining": true });
  const services = lab.subscribe<Metadata>(prefix, { metadata: schema, ...options });
  await services.ready;
  return { prefix, services };
}

const idsOf = (list: readonly ServiceInstance[]) => list.map(({ id }) => id).join();

test("a filter lets through what holds for everything that it says", async () => {
  const { services } = await fleet();
  const filters: [InstanceFilter<Metadata>, string][] = [
    [{}, "a1,a2,b1,b2"],
    [{ zone: "a" }, "a1,a2"],
    [{ zone: ["a", "b"], version: "1.0.0" }, "a1,b1"],
    [{ version: ["2.0.0", "3.0.0"] }, "a2,b2"],
    [{ version: (version) => version.startsWith("2.") }, "a2,b2"],
    [{ draining: false }, "a1,a2,b1"],
    [{ draining: true }, "b2"],
    [{ metadata: { tier: "gold" } }, "a1"],
    [{ metadata: ({ tier }) => tier === undefined, zone: "b" }, "b1,b2"],
    [{ zone: "__proto__" }, ""],
  ];
  for (const [filter, ids] of filters) expect(idsOf(services.view(filter).list()), JSON.stringify(filter)).toBe(ids);
});

test("one that a balancer asks for while a change is taken emits that change once", async () => {
  let ask = () => {};
  const balancer = {
    pick: <Server>(servers: readonly Server[]) => servers[0] as Server,
    changed: () => ask(),
  };
  const { prefix, services } = await fleet({ balancer });
  const received: string[] = [];
  ask = () => {
    ask = () => {};
    services.view({ zone: "c" }).on("put", ({ id }, previous) => received.push(`${id} ${previous?.id}`));
  };
  await put(`${prefix}c1`, { zone: "c", version: "1.0.0" });
  await until(() => received.length > 0);
  await put(`${prefix}c2`, { zone: "c", version: "1.0.0" });
  await until(() => received.includes("c2 undefined"));
  expect(received).toEqual(["c1 undefined", "c2 undefined"]);
});

test("what a balancer reports while a change is taken comes after that change, in the list and in its views", async () => {
  let report = () => {};
  const balancer = {
    pick: <Server>(servers: readonly Server[]) => servers[0] as Server,
    changed: () => report(),
  };
  const { prefix, services } = await fleet({ balancer, outlierDetection: { consecutiveFailures: 1 } });
  const view = services.view({ zone: "a" });
  await view.ready;
  const events = [...subscribeEvents, "ejected"] as const;
  const recorders = [new Recorder(services, events), new Recorder(view, events)];
  report = () => {
    report = () => {};
    services.report(services.list()[0] as ServiceInstance<Metadata>, new Error("no answer"));
  };
  await put(`${prefix}a1`, { zone: "a", version: "1.0.1" });
  await until(() => recorders.every(({ names }) => names.includes("change")));
  for (const { names } of recorders) expect(names).toEqual(["put", "change", "ejected"]);
  for (const list of [services, view]) {
    expect(list.list()[0]).toMatchObject({ id: "a1", ejected: true, metadata: { version: "1.0.1" } });
    expect(list.pick().id).not.toBe("a1");
  }
});

test("it has what is listed at once, emits it like a first list, and follows from there", async () => {
  const { prefix, services } = await fleet();
  const view = services.view({ zone: "a" });
  expect(view.pick().metadata.zone).toBe("a");
  const recorder = new Recorder(view, subscribeEvents);
  await view.ready;
  expect(recorder.names).toEqual(["put", "put", "change"]);
  recorder.clear();

  await put(`${prefix}a3`, { zone: "a", version: "3.0.0" });
  await put(`${prefix}b3`, { zone: "b", version: "3.0.0" });
  await put(`${prefix}a1`, { zone: "b", version: "1.0.0" });
  await put(`${prefix}b1`, { zone: "a", version: "1.0.0" });
  await lab.etcd.delete(`${prefix}a2`);
  expect(idsOf(await view.until((list) => list.length === 2 && list[1]?.id === "b1"))).toBe("a3,b1");
  const received = recorder.events.filter(({ name }) => name !== "change");
  const idOf = ([instance]: readonly unknown[]) => (instance as ServiceInstance).id;
  expect(received.map(({ name, args }) => `${name} ${idOf(args)}`)).toEqual([
    "put a3",
    "delete a1",
    "put b1",
    "delete a2",
  ]);
  // To the view it is new.
  expect(received[2]?.args).toHaveLength(1);
  expect(idsOf(services.list())).toBe("a1,a3,b1,b2,b3");
});

test("a view of a list that is not there yet begins with it", async () => {
  const prefix = lab.newPrefix();
  await put(`${prefix}a1`, { zone: "a", version: "1.0.0" });
  const services = lab.subscribe(prefix);
  const view = services.view({ zone: "a" });
  const none = services.view({ zone: "z" });
  const recorder = new Recorder(view, subscribeEvents);
  const empty = new Recorder(none, subscribeEvents);
  expect(view.list()).toEqual([]);
  expect(view.status).toBe("connecting");
  await view.ready;
  expect(recorder.names).toEqual(["put", "change", "status"]);
  expect(view.status).toBe("live");
  expect(view.revision).toBe(services.revision);
  expect(view.staleForMs).toBe(0);
  await none.ready;
  expect(empty.names).toEqual(["change", "status"]);
});

test("all lists are up to date before anything is emitted", async () => {
  const { prefix, services } = await fleet();
  const view = services.view({ zone: "a" });
  await view.ready;
  const seen: string[] = [];
  services.on("put", () => seen.push(idsOf(view.list())));
  view.on("put", () => seen.push(idsOf(services.list())));
  await put(`${prefix}a3`, { zone: "a", version: "1.0.0" });
  await until(() => seen.length === 2);
  expect(seen).toEqual(["a1,a2,a3", "a1,a2,a3,b1,b2"]);
});

test("a view has its own strategy; what fails in it is ejected everywhere", async () => {
  const { services } = await fleet({ outlierDetection: { consecutiveFailures: 2 } });
  const last = services.view({ zone: "a" }, { balancer: (servers) => servers.at(-1) as ServiceInstance<Metadata> });
  expect(last.pick().id).toBe("a2");
  const picked = () => new Set(Array.from({ length: 6 }, () => services.pick().id)).size;
  expect(picked()).toBe(3);
  const ejected: string[] = [];
  for (const list of [services, last]) list.on("ejected", ({ id }) => ejected.push(id));
  for (const _ of [1, 2]) await expect(last.call(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(ejected).toEqual(["a2", "a2"]);
  expect(last.list().map((instance) => instance.ejected)).toEqual([undefined, true]);
  expect(last.list()[1]).toBe(services.list()[1]);
  expect(last.pick().id).toBe("a1");
  expect(
    idsOf(
      services
        .view({ zone: "a" })
        .list()
        .filter((instance) => instance.ejected),
    ),
  ).toBe("a2");
});

test("a filter that throws keeps the instance out and is reported", async () => {
  const { prefix, services } = await fleet();
  const view = services.view({
    metadata: ({ tier }) => {
      if (tier === undefined) throw new Error("no tier");
      return true;
    },
  });
  const warnings: string[] = [];
  view.on("warning", ({ message }) => warnings.push(message));
  await view.ready;
  expect(idsOf(view.list())).toBe("a1");
  expect(warnings).toEqual(["no tier", "no tier", "no tier"]);
  await put(`${prefix}c1`, { zone: "c", version: "1.0.0", tier: "gold" });
  await view.until((list) => list.length === 2);
});

test("a view that is closed hears nothing any more, and the list goes on", async () => {
  const { prefix, services } = await fleet();
  const view = services.view({ zone: "a" });
  await view.ready;
  const waiting = expect(view.until(() => false)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  const recorder = new Recorder(view, subscribeEvents);
  await view.close();
  await view.close();
  await waiting;
  expect(view.status).toBe("closed");
  await put(`${prefix}a3`, { zone: "a", version: "1.0.0" });
  await services.until((list) => list.length === 5);
  expect(recorder.names).toEqual(["status"]);
  expect(idsOf(view.list())).toBe("a1,a2");
  await expect(view.call(() => 1)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});

test("a view ends with its list", async () => {
  const { services } = await fleet();
  const view = services.view({ zone: "a" });
  const early = services.view({ zone: "b" });
  const recorder = new Recorder(view, subscribeEvents);
  await view.ready;
  recorder.clear();
  const waiting = expect(view.until(() => false)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await services.close();
  await waiting;
  expect([view.status, early.status, recorder.names]).toEqual(["closed", "closed", ["status"]]);
  expect(() => services.view({})).toThrow(expect.objectContaining({ code: "ETCD_CLOSED" }));
});

test("a view fails with its list", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const services = lab.subscribe(prefix, { client });
  const view = services.view({ zone: "a" });
  const recorder = new Recorder(view, subscribeEvents);
  await view.ready;
  recorder.clear();
  await client.close();
  await until(() => recorder.names.includes("failed"));
  expect(recorder.names).toEqual(["status", "failed"]);
  expect(view.status).toBe("failed");
});

test("views that were closed are let go while their list lives on", async () => {
  const { services } = await fleet();
  const closed = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const view = services.view({ zone: "a" });
      await view.ready;
      await view.close();
      return new WeakRef(view);
    }),
  );
  await until(() => {
    collectGarbage();
    return closed.every((ref) => ref.deref() === undefined);
  });
});

const refused: [unknown, unknown, string][] = [
  [undefined, {}, "SubscribeService.view: filter must be an object such as { draining: false }, not undefined"],
  [{ zone: 5 }, {}, "SubscribeService.view: zone must be a string, or several"],
  [{ zone: [] }, {}, "SubscribeService.view: zone must be a string, or several"],
  [{ version: ["1.0.0", 2] }, {}, "SubscribeService.view: version.1 must be a string, not 2"],
  [{ version: 2 }, {}, "SubscribeService.view: version must be a string, or several, or a function"],
  [
    { metadata: "gold" },
    {},
    "SubscribeService.view: metadata must be an object of fields and their values, or a function",
  ],
  [{ draining: "no" }, {}, "SubscribeService.view: draining must be true or false"],
  [{ zones: "a" }, {}, 'SubscribeService.view: zones is not an option; did you mean "zone"?'],
  [{}, { maxDropRatio: 0.5 }, /^SubscribeService.view: maxDropRatio is not an option/],
  [{}, { slowStartMs: -1 }, "SubscribeService.view: slowStartMs must be at least 0"],
].map(([filter, options, message]) => [filter, options, message as string]);

for (const [filter, options, message] of refused) {
  test(`refused: ${message}`, () => {
    const services = lab.subscribe(lab.newPrefix());
    expect(() => services.view(filter as object, options as object)).toThrow(message);
  });
}
