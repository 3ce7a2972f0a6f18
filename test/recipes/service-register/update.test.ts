import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { FaultProxy } from "../../../testing/index.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function endpointJson(address: string, metadata: object | null): string {
  return JSON.stringify({ Op: 0, Addr: address, Metadata: metadata });
}

test("an update resolves when its value stands in etcd; what it leaves out stays", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { metadata: { zone: "a", rack: 1 }, weight: 3 });
  await register.ready;
  await register.update({ weight: 20 });
  const weight20 = { zone: "a", rack: 1, "etcd-recipes/weight": 20 };
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: endpointJson("10.0.0.1:80", weight20) });
  await register.update({ metadata: { zone: "b" }, draining: true });
  const draining = { zone: "b", "etcd-recipes/weight": 20, "etcd-recipes/draining": true };
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: endpointJson("10.0.0.1:80", draining) });
  await register.update({ draining: false, weight: 1 });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: endpointJson("10.0.0.1:80", { zone: "b" }) });
  await register.update({});
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: endpointJson("10.0.0.1:80", { zone: "b" }) });
});

test("a thousand updates at once become few writes, in order, the newest last", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { format: "endpoint" });
  await register.ready;
  const start = await revisionOf(lab.etcd);
  const settled: number[] = [];
  await Promise.all(
    Array.from({ length: 1_000 }, (_, index) =>
      register.update({ weight: index + 2 }).then(() => {
        settled.push(index);
      }),
    ),
  );
  expect(settled).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
  const history = await historyOf(lab.etcd, prefix, start + 1);
  expect(history.length).toBeLessThan(50);
  const weights = history.map(({ kv }) => JSON.parse(kv.text).Metadata["etcd-recipes/weight"]);
  expect(weights).toEqual([...weights].sort((a, b) => a - b));
  expect(weights.at(-1)).toBe(1_001);
});

test("updates in an outage wait, and the newest of them is what stands there after", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 500 });
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 60, { client });
  await register.ready;
  await proxy.down();
  const updates = ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"].map((address) => register.update({ address }));
  const abort = new AbortController();
  const impatient = register.update({ address: "10.0.0.5:80" }, { signal: abort.signal });
  abort.abort(new Error("not now"));
  await expect(impatient).rejects.toThrow("not now");
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
  await proxy.heal();
  await Promise.all(updates);
  // The wait was given up, not the update.
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.5:80" });
});

test("an update that is waiting is rejected when the registration is closed, and so is every later one", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  await register.ready;
  const waiting = register.update({ address: "10.0.0.2:80" });
  const closing = register.close();
  await expect(waiting).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await expect(register.update({ address: "10.0.0.3:80" })).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await closing;
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("an aborted signal rejects with its reason and changes nothing", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  await register.ready;
  const reason = new Error("no");
  await expect(register.update({ address: "10.0.0.2:80" }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await register.update({});
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
});

test("metadata is taken as it is at the call", async () => {
  const prefix = lab.newPrefix();
  const metadata: { zone: string; tags: string[]; self?: unknown } = { zone: "a", tags: ["x"] };
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { metadata });
  metadata.tags.push("y");
  metadata.self = metadata;
  await register.ready;
  await register.update({ address: "10.0.0.2:80" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: endpointJson("10.0.0.2:80", { zone: "a", tags: ["x"] }) });
});
