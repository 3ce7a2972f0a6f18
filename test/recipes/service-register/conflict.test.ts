import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ConflictError, type RegisterConflict } from "../../../recipes/index.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("two objects on one key do not fight: the second takes it, the first waits and returns", async () => {
  const prefix = lab.newPrefix();
  const start = await revisionOf(lab.etcd);
  const first = lab.register(`${prefix}m1`, "10.0.0.1:80", 2);
  const recorder = new Recorder(first, registerEvents.slice(0, 4));
  await first.ready;
  recorder.clear();
  const second = lab.register(`${prefix}m1`, "10.0.0.2:80", 2);
  await second.ready;
  await until(() => first.status === "passive");
  expect(recorder.names).toEqual(["status", "lost", "conflict"]);
  const [{ owner }] = recorder.of<RegisterConflict>("conflict") as [RegisterConflict];
  expect(owner.text).toBe("10.0.0.2:80");
  await second.update({ address: "10.0.0.3:80" });
  await second.update({ address: "10.0.0.4:80" });
  expect(first.status).toBe("passive");
  recorder.clear();
  await second.close();
  await until(() => first.status === "registered");
  expect(recorder.names).toEqual(["status", "registered"]);
  const values = (await historyOf(lab.etcd, prefix, start + 1)).map(({ type, kv }) => (type === "put" ? kv.text : "-"));
  expect(values).toEqual(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80", "-", "10.0.0.1:80"]);
});

test("ten objects that want one key at once come to rest: one has it, nine wait", async () => {
  const prefix = lab.newPrefix();
  const start = await revisionOf(lab.etcd);
  const all = Array.from({ length: 10 }, (_, index) =>
    lab.register(`${prefix}m1`, `10.0.0.${index}:80`, 30, { client: lab.client() }),
  );
  await Promise.all(all.map(({ ready }) => ready));
  await until(() => all.filter(({ status }) => status === "passive").length === 9, {
    message: () => all.map(({ status }) => status).join(),
  });
  const [owner] = all.filter(({ status }) => status === "registered");
  // A round trip of each, so that an owner that wanted to fight would have.
  await owner?.update({ address: "10.0.0.99:80" });
  await until(async () => (await viewOf(lab.etcd, prefix)).m1 === "10.0.0.99:80");
  const puts = (await historyOf(lab.etcd, prefix, start + 1)).filter(({ type }) => type === "put");
  expect(puts.length).toBeLessThanOrEqual(11);
  // One after the other leaves, and another process has it each time.
  for (let left = 10; left > 1; left--) {
    const holder = await until(() => all.find(({ status }) => status === "registered"));
    await holder.close();
    await until(async () => (await viewOf(lab.etcd, prefix)).m1 !== undefined);
    await until(() => all.some(({ status }) => status === "registered"));
  }
});

test('"wait" waits from the start, and has the key when it is free', async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "by hand");
  const waiting = lab.register(`${prefix}m1`, "10.0.0.1:80", 2, { onConflict: "wait" });
  const recorder = new Recorder(waiting, registerEvents);
  await until(() => waiting.status === "passive");
  expect(recorder.names.filter((name) => name !== "warning")).toEqual(["status", "conflict"]);
  expect(waiting.lastError).toBeInstanceOf(ConflictError);
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "by hand" });
  await lab.etcd.delete(`${prefix}m1`);
  await waiting.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
  expect(waiting.lastError).toBeUndefined();
});

test('"error" fails ready with ETCD_CONFLICT, writes nothing and leaves nothing', async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "by hand");
  const refused = lab.register(`${prefix}m1`, "10.0.0.1:80", 2, { onConflict: "error" });
  const recorder = new Recorder(refused, registerEvents);
  await expect(refused.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  expect(refused.status).toBe("failed");
  expect(recorder.names.filter((name) => name !== "warning")).toEqual(["status", "failed"]);
  expect(recorder.of("failed")).toEqual([refused.lastError]);
  await expect(refused.update({ address: "10.0.0.2:80" })).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  await until(async () => (await leasesOf(lab.endpoint)).length === 0, { message: "its lease is gone" });
  await refused.close();
  expect(refused.status).toBe("closed");
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "by hand" });
});

test('after its first registration "error" waits like the others', async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 2, { onConflict: "error" });
  await register.ready;
  await lab.etcd.put(`${prefix}m1`, "by hand");
  await until(() => register.status === "passive");
  await lab.etcd.delete(`${prefix}m1`);
  await until(() => register.status === "registered");
});

test("a restart under the same id while the old one closes: the new one's key stays", async () => {
  const prefix = lab.newPrefix();
  for (let round = 0; round < 20; round++) {
    const old = lab.register(`${prefix}m1`, "10.0.0.1:80", 2, { client: lab.client() });
    await old.ready;
    const closing = old.close();
    const next = lab.register(`${prefix}m1`, "10.0.0.2:80", 2, { client: lab.client() });
    await Promise.all([closing, next.ready]);
    // The old one may have deleted its own key, or found the new one's: never the new one's key.
    await next.update({ address: "10.0.0.3:80" });
    expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.3:80" });
    expect(next.status).toBe("registered");
    await next.close();
    await lab.clear();
  }
});
