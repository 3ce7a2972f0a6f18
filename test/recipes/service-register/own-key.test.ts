import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ConflictError, type LeaseId, LeaseLostError, RegistrationLostError } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { revokeLease } from "../../support/gateway/index.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A registered service, its key, its events since then, and how to look at its key. */
async function registered(options = {}) {
  const key = `${lab.newPrefix()}m1`;
  const register = lab.register(key, "10.0.0.1:8080", 5, options);
  const recorder = new Recorder(register, registerEvents);
  await register.ready;
  const state = () => lab.etcd.get(key);
  const first = await state();
  if (!first?.lease) throw new Error("it is registered on a lease");
  recorder.clear();
  return { register, key, recorder, state, first, lease: first.lease };
}

const revokeByHand = (lease: LeaseId) => revokeLease(lab.endpoint, lease);

test("a key deleted by hand comes back, on the lease that it had", async () => {
  const { register, key, recorder, state, lease } = await registered();
  await lab.etcd.delete(key);
  const back = await until(state);
  expect(back.text).toBe("10.0.0.1:8080");
  expect(back.lease).toBe(lease);
  await until(() => register.status === "registered");
  expect(recorder.names).toEqual(["status", "lost", "status", "registered"]);
  expect(recorder.of("status")).toEqual(["recovering", "registered"]);
  expect(recorder.of("lost")[0]).toBeInstanceOf(RegistrationLostError);
  expect(recorder.of("registered")).toEqual([{ key, revision: back.modRevision }]);
});

test("a key deleted while the link was cut, and compacted away, comes back with the link", async () => {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const key = `${lab.newPrefix()}m1`;
  const client = lab.client({ endpoints: proxy.endpoint });
  const register = lab.register(key, "10.0.0.1:8080", 60, { client });
  await register.ready;
  // It is followed: what is written by another is heard of.
  await lab.etcd.delete(key);
  await until(() => lab.etcd.get(key));
  await proxy.down();
  await lab.etcd.delete(key);
  const { revision } = await lab.etcd.put(`${key}/elsewhere`, "");
  await lab.etcd.compact(revision);
  await proxy.heal();
  await until(() => lab.etcd.get(key));
  await until(() => register.status === "registered");
});

test("a lease revoked by hand is replaced by a new one, and the key comes back", async () => {
  const { register, recorder, state, lease } = await registered();
  await revokeByHand(lease);
  const back = await until(async () => {
    const kv = await state();
    return kv?.lease !== lease ? kv : undefined;
  });
  expect(back.text).toBe("10.0.0.1:8080");
  await until(() => register.status === "registered");
  expect(register.lastError).toBeUndefined();
  expect(recorder.of("status").at(0)).toBe("recovering");
  expect(recorder.of("status").at(-1)).toBe("registered");
  const [lost] = recorder.of("lost");
  expect(lost instanceof RegistrationLostError || lost instanceof LeaseLostError).toBe(true);
});

test("a key deleted and a lease revoked at once: the key comes back on a new lease, and stays", async () => {
  const { register, key, state, lease } = await registered();
  await Promise.all([lab.etcd.delete(key), revokeByHand(lease)]);
  const back = await until(async () => {
    const kv = await state();
    return kv?.lease !== lease ? kv : undefined;
  });
  await register.update({ address: "10.0.0.1:8081" });
  expect((await state())?.lease).toBe(back.lease);
});

test("a key overwritten by hand is left to its new owner, and comes back when it is deleted", async () => {
  const { register, key, recorder, state } = await registered();
  const { revision } = await lab.etcd.put(key, "by hand");
  await until(() => register.status === "passive");
  expect(recorder.names).toEqual(["status", "lost", "conflict"]);
  expect(recorder.of("lost")[0]).toBeInstanceOf(ConflictError);
  expect(recorder.of("conflict")).toMatchObject([{ key, owner: { text: "by hand", modRevision: revision } }]);
  // Each time that the other one writes it is looked at again, and never written.
  await lab.etcd.put(key, "by hand, again");
  const late = register.update({ address: "10.0.0.1:8081" });
  const { revision: newest } = await lab.etcd.put(key, "by hand, a third time");
  expect(await state()).toMatchObject({ modRevision: newest, text: "by hand, a third time" });
  expect(recorder.of("conflict")).toHaveLength(1);
  await lab.etcd.delete(key);
  await late;
  expect(await state()).toMatchObject({ text: "10.0.0.1:8081" });
  await until(() => register.status === "registered");
});

test("a value overwritten on the own lease is put right again", async () => {
  const { register, key, recorder, state, lease } = await registered();
  await lab.etcd.put(key, "by hand", { lease });
  await until(async () => (await state())?.text === "10.0.0.1:8080");
  expect(register.status).toBe("registered");
  expect(recorder.names).toEqual([]);
});

test("deleted a hundred times, it comes back a hundred times, and each loss is reported, however fast the key came back", async () => {
  const { register, key, recorder, state } = await registered();
  for (let round = 0; round < 100; round++) {
    await lab.etcd.delete(key);
    await until(state);
  }
  await until(() => recorder.of("registered").length >= 100);
  await register.close();
  const round = ["status", "lost", "status", "registered"];
  expect(recorder.names).toEqual([...Array.from({ length: 100 }, () => round).flat(), "status", "closed"]);
});
