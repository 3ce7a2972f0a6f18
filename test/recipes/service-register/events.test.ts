import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ListenerFailedError, ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient } from "../../../src/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("the status is final before its event, and nothing is emitted inside the constructor", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  const recorder = new Recorder(register, registerEvents);
  expect(register.status).toBe("registering");
  await register.ready;
  await lab.etcd.put(`${prefix}m1`, "by hand");
  await until(() => register.status === "passive");
  await lab.etcd.delete(`${prefix}m1`);
  await until(() => register.status === "registered");
  await lab.etcd.delete(`${prefix}m1`);
  await until(() => recorder.names.filter((name) => name === "registered").length === 3);
  await register.close();
  expect(recorder.events.map(({ name, status }) => `${name} ${status}`)).toEqual([
    "status registered",
    "registered registered",
    "status passive",
    "lost passive",
    "conflict passive",
    "status registered",
    "registered registered",
    "status recovering",
    "lost recovering",
    "status registered",
    "registered registered",
    "status closed",
    "closed closed",
  ]);
  for (const { name, args, status } of recorder.events) if (name === "status") expect(args).toEqual([status]);
});

test("ready is settled before the first event is emitted", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  register.once("status", () => void register.close());
  await expect(register.ready).resolves.toBeUndefined();
  await register.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

for (const [how, thrown] of [
  ["an error", new Error("boom")],
  ["nothing", undefined],
  ["what has no text", Object.create(null)],
] as const) {
  test(`a listener that throws ${how}, or rejects with it, harms no other and is emitted as a warning`, async () => {
    const prefix = lab.newPrefix();
    const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
    const after: string[] = [];
    register.on("status", () => {
      throw thrown;
    });
    register.on("status", (status) => after.push(status));
    register.on("registered", async () => {
      throw thrown;
    });
    const warnings: Error[] = [];
    register.on("warning", (warning) => warnings.push(warning));
    register.on("warning", () => {
      throw thrown;
    });
    register.on("warning", async () => {
      throw thrown;
    });
    await register.ready;
    await until(() => warnings.length === 2);
    for (const warning of warnings) {
      expect(warning).toBeInstanceOf(ListenerFailedError);
      expect(warning).toMatchObject({ code: "ETCD_LISTENER_FAILED" });
      expect(warning.cause).toBe(thrown);
    }
    expect(warnings.map(({ message }) => message.slice(0, 29))).toEqual([
      'a listener of "status" failed',
      'a listener of "registered" fa',
    ]);
    await lab.etcd.delete(`${prefix}m1`);
    await until(() => after.length === 3);
    await register.close();
    expect(after).toEqual(["registered", "recovering", "registered", "closed"]);
  });
}

test("once() is called once, and a listener can be taken off", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  const received: string[] = [];
  const off = () => received.push("off");
  register.once("registered", ({ key }) => received.push(key));
  register.on("registered", off);
  register.off("registered", off);
  const recorder = new Recorder(register, ["registered"]);
  await register.ready;
  await lab.etcd.delete(`${prefix}m1`);
  await until(() => recorder.events.length === 2);
  expect(received).toEqual([`${prefix}m1`]);
  expect(register.listenerCount("registered")).toBe(1);
});

test("close() from any listener is fine", async () => {
  const prefix = lab.newPrefix();
  for (const name of ["status", "registered", "lost", "conflict"] as const) {
    const register = lab.register(`${prefix}${name}`, "10.0.0.1:80", 5);
    const closed = new Promise<void>((resolve) => register.once("closed", resolve));
    register.once(name, () => void register.close());
    await register.ready;
    if (name === "lost" || name === "conflict") await lab.etcd.put(`${prefix}${name}`, "by hand");
    await closed;
    expect(register.status).toBe("closed");
  }
  expect(await viewOf(lab.etcd, prefix)).toEqual({ lost: "by hand", conflict: "by hand" });
});

test("the client closed under it: failed with ETCD_CLOSED, and close is still fine", async () => {
  const prefix = lab.newPrefix();
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const register = new ServiceRegister(`${prefix}m1`, "10.0.0.1:80", 5, { client });
  const recorder = new Recorder(register, registerEvents);
  await register.ready;
  recorder.clear();
  await client.close();
  await until(() => register.status === "failed");
  expect(recorder.events.map(({ name, status }) => `${name} ${status}`)).toEqual(["status failed", "failed failed"]);
  expect(recorder.of("failed")).toMatchObject([{ code: "ETCD_CLOSED" }]);
  await expect(register.update({ address: "10.0.0.2:80" })).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  await register.close();
  expect(recorder.names.slice(2)).toEqual(["status", "closed"]);
  expect(register.status).toBe("closed");
});

test("on a client that is closed already it fails at once, and emits only after the constructor", async () => {
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  await client.close();
  const register = new ServiceRegister("/m1", "10.0.0.1:80", 5, { client });
  const recorder = new Recorder(register, registerEvents);
  expect(register.status).toBe("registering");
  await expect(register.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(recorder.names).toEqual(["status", "failed"]);
  await register.close();
});

test("a failure is what ready, update and lastError say, also when a listener closes", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "by hand");
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { onConflict: "error" });
  const updated = register.update({ address: "10.0.0.2:80" }).catch((error: unknown) => error);
  register.on("status", () => void register.close());
  await expect(register.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  expect(await updated).toMatchObject({ code: "ETCD_CONFLICT" });
});

test("a ttl that etcd rounds up is warned of, and counts as granted", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 1);
  const recorder = new Recorder(register, registerEvents);
  await register.ready;
  expect(recorder.names).toEqual(["warning", "status", "registered"]);
  expect(recorder.of<Error>("warning")[0]?.message).toBe("a ttl of 1 s is too short for etcd, which granted 2 s");
  expect(register.lastError).toBeUndefined();
});
