import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceRegister } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { breakLink } from "../../support/break-link.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("twenty keys whose first put was under way when they were closed: none is there when the put lands", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 1_000 });
  const kept = lab.register(`${prefix}kept`, "10.0.0.99:80", 60, { client });
  const registers = Array.from({ length: 20 }, (_, index) =>
    lab.register(`${prefix}m${index}`, `10.0.0.${index}:80`, 60, { client, weight: 2 }),
  );
  await Promise.all([kept, ...registers].map(({ ready }) => ready));
  // Each has a put on the way without an answer: some of a new value, some to bring a deleted key back.
  proxy.blackHole();
  for (let index = 0; index < 20; index += 2) await lab.etcd.delete(`${prefix}m${index}`);
  const updates = registers.map((register) => register.update({ weight: 7 }).catch((error: unknown) => error));
  const closing = registers.map((register) => register.close());
  await Promise.all([...closing, ...updates]);
  const healedAt = await revisionOf(lab.etcd);
  await proxy.heal();
  await kept.update({ address: "10.0.0.100:80" });
  await until(async () => (await leasesOf(lab.endpoint)).length === 1, { timeoutMs: 20_000 });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ kept: "10.0.0.100:80" });
  // The leases are gone, so what is still on the way cannot land; what landed before was taken away with them.
  const after = await historyOf(lab.etcd, prefix, healedAt + 1);
  const there = new Set<string>();
  for (const { type, kv } of after) {
    if (type === "put") there.add(kv.key);
    else there.delete(kv.key);
  }
  expect([...there]).toEqual([`${prefix}kept`]);
});

test("a closed key is gone for good once close has reached etcd, whatever writes were lost before", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 600 });
  const registers = Array.from({ length: 20 }, (_, index) =>
    lab.register(`${prefix}m${index}`, `10.0.0.${index}:80`, 60, { client }),
  );
  await Promise.all(registers.map(({ ready }) => ready));
  // Writes leave and are given up; what is held back goes through at the end, from connections long left.
  proxy.blackHole("toServer");
  const deleted = registers.map((_, index) => lab.etcd.delete(`${prefix}m${index}`));
  // All in one turn: what is asked for after the first time-out fails for want of a connection.
  const timedOut = registers.map((register, index) => {
    void register.update({ address: `10.0.9.${index}:80` }).catch(() => {});
    return until(() => register.lastError?.message.includes("no answer"));
  });
  await Promise.all([...deleted, ...timedOut]);
  await proxy.heal();
  await Promise.all(registers.map((register) => register.close()));
  const closedAt = await revisionOf(lab.etcd);
  await until(async () => (await leasesOf(lab.endpoint)).length === 0);
  const puts = (await historyOf(lab.etcd, prefix, closedAt + 1)).filter(({ type }) => type === "put");
  expect(puts).toEqual([]);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("updates, closes and bad links in any order: at the end exactly what is open, with its newest value", async () => {
  const random = seeded("late writes");
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const clients = [300, 1_000, 5_000].map((requestTimeoutMs) =>
    lab.client({ endpoints: proxy.endpoint, requestTimeoutMs }),
  );
  const open = new Map<string, { register: ServiceRegister; address: string }>();
  const closing: Promise<void>[] = [];
  let made = 0;
  const steps: string[] = [];
  for (let step = 0; step < 150; step++) {
    const what = random.between(0, 9);
    const id = open.size > 0 ? random.pick([...open.keys()]) : undefined;
    if (what <= 2 || id === undefined) {
      const fresh = `m${made++}`;
      const address = `10.0.0.${step}:80`;
      const register = lab.register(prefix + fresh, address, 2, { client: random.pick(clients) });
      open.set(fresh, { register, address });
      steps.push(`${fresh} made`);
    } else if (what <= 4) {
      const entry = open.get(id);
      if (!entry) continue;
      entry.address = `10.0.1.${step}:80`;
      void entry.register.update({ address: entry.address }).catch(() => {});
      steps.push(`${id} updated`);
    } else if (what === 5 && open.size > 3) {
      closing.push(open.get(id)?.register.close() ?? Promise.resolve());
      open.delete(id);
      steps.push(`${id} closed`);
    } else if (what === 6) {
      steps.push(breakLink(proxy, random));
    } else if (what === 7) {
      await proxy.heal();
      steps.push("heal");
    } else if (what === 8) {
      await lab.etcd.delete(prefix + id);
      steps.push(`${id} deleted`);
    } else {
      // Time passes as it passes for the program: until something answers or gives up.
      await clients[0]?.get("time").catch(() => {});
    }
  }
  await proxy.heal();
  await Promise.all(closing);
  const said = () => `seed ${random.seed}: ${steps.join(", ")}`;
  const wanted = Object.fromEntries([...open].map(([id, { address }]) => [id, address]));
  await until(
    async () => {
      expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
      expect(await leasesOf(lab.endpoint)).toHaveLength(open.size);
      return [...open.values()].every(({ register }) => register.status === "registered");
    },
    { timeoutMs: 30_000, message: said },
  );
  await Promise.all([...open.values()].map(({ register, address }) => register.update({ address })));
  expect(await viewOf(lab.etcd, prefix), said()).toEqual(wanted);
});
