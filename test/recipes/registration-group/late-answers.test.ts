import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type EtcdClient, EtcdTimeoutError, type TxnOp, type TxnOptions } from "../../../src/index.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { settled } from "../../support/fake-clock.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { groupOf, memberEvents } from "./group-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function hooked(hook: (request: TxnOptions, send: () => Promise<unknown>) => Promise<void> | void): EtcdClient {
  const client = lab.client();
  return Object.create(client, {
    mirror: { value: client.mirror.bind(client) },
    grantLease: { value: client.grantLease.bind(client) },
    txn: {
      value: async (request: TxnOptions, options: object) => {
        await hook(request, () => client.txn(request));
        return client.txn(request, options);
      },
    },
  });
}

function kinds({ success = [] }: TxnOptions): string[] {
  return success.flatMap((op) => ((op as TxnOp).type === "txn" ? (op as TxnOp).success.map(({ type }) => type) : []));
}

test("updated and updated back while etcd does not answer: both updates resolve when it is back", async () => {
  const prefix = lab.newPrefix();
  let away = false;
  const client = hooked((request) => {
    if (away && kinds(request).includes("put"))
      throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  });
  const group = groupOf(lab, prefix, 60, { client });
  const member = group.register("m0", "10.0.0.1:80");
  const recorder = new Recorder(member as never, memberEvents);
  await group.ready;
  // The first list of the group has come, and nothing else will.
  const services = lab.subscribe(prefix, { client });
  await services.ready;
  await member.update({ address: "10.0.0.5:80" });
  await member.update({ address: "10.0.0.1:80" });
  const { modRevision } = (await lab.etcd.get(member.key)) ?? {};
  await until(() => services.list()[0]?.modRevision === modRevision);
  away = true;
  let resolved = 0;
  void member.update({ address: "10.0.0.2:80" }).then(
    () => resolved++,
    () => {},
  );
  await until(() => recorder.of("warning").length > 0);
  void member.update({ address: "10.0.0.1:80" }).then(
    () => resolved++,
    () => {},
  );
  away = false;
  await until(() => resolved === 2, { timeoutMs: 8_000, message: () => `${resolved} of 2` });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0: "10.0.0.1:80" });
});

test("closed while its first put is on its way: once close() has resolved the key is not there, and never comes", async () => {
  const prefix = lab.newPrefix();
  const open: (() => void)[] = [];
  const gate = new Promise<void>((resolve) => open.push(resolve));
  let sent = false;
  const client = hooked(async (request) => {
    if (!kinds(request).includes("put") || sent) return;
    sent = true;
    await gate;
  });
  const group = groupOf(lab, prefix, 60, { client });
  const member = group.register("m0", "10.0.0.1:80");
  await until(() => sent);
  // The group's first list comes while the put is on its way.
  const services = lab.subscribe(prefix, { client });
  await services.ready;
  const before = await revisionOf(lab.etcd);
  const closing = member.close();
  let closed = false;
  void closing.then(() => {
    closed = true;
  });
  for (let round = 0; round < 20; round++) await lab.etcd.get("a");
  const early = closed;
  open[0]?.();
  await closing;
  const closedAt = await revisionOf(lab.etcd);
  await until(async () => (await revisionOf(lab.etcd)) >= before + 2, { timeoutMs: 5_000 });
  const after = (await historyOf(lab.etcd, prefix, closedAt + 1)).map(({ type }) => type);
  expect({ early, after }).toEqual({ early: false, after: [] });
});

test("etcd wiped while one is closing and its successor waits: it is not asked the same thing again and again", async () => {
  const prefix = lab.newPrefix();
  while ((await revisionOf(lab.etcd)) < 200) await lab.etcd.put("/other", "x");
  let deletes = 0;
  const client = hooked((request) => {
    if (kinds(request).includes("delete")) deletes++;
  });
  const group = groupOf(lab, prefix, 10, { client });
  group.register("m1", "10.0.0.9:80");
  const member = group.register("m0", "10.0.0.1:80", { format: "endpoint" });
  await group.ready;
  const recorder = new Recorder(member as never, memberEvents);
  const closing = member.close({ drainMs: 4_000 });
  await until(async () => (await viewOf(lab.etcd, prefix)).m0?.includes("raining") === true);
  const next = group.register("m0", "10.0.0.2:80");
  await lab.cluster.wipe();
  await closing;
  expect.soft(deletes).toBeLessThan(10);
  expect.soft(recorder.of("warning").map(String)).toEqual([]);
  await next.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0: "10.0.0.2:80", m1: "10.0.0.9:80" });
}, 60_000);

test("closed while etcd was away, and its successor too: the key is deleted as soon as etcd is back", async () => {
  const prefix = lab.newPrefix();
  let away = false;
  const client = hooked(() => {
    if (away) throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  });
  const group = groupOf(lab, prefix, 60, { client });
  const member = group.register("m0", "10.0.0.1:80");
  group.register("m1", "10.0.0.2:80");
  await group.ready;
  away = true;
  const closing = member.close();
  const next = group.register("m0", "10.0.0.3:80");
  await Promise.all([closing, next.close()]);
  away = false;
  await until(async () => (await viewOf(lab.etcd, prefix)).m0 === undefined, { timeoutMs: 15_000 });
}, 40_000);

test("a delete of a former member that lands late does not take the key of its successor", async () => {
  const prefix = lab.newPrefix();
  let holding = false;
  let late: (() => Promise<unknown>) | undefined;
  const client = hooked((request, send) => {
    if (!holding || !kinds(request).includes("delete")) return;
    late ??= send;
    throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  });
  const group = groupOf(lab, prefix, 2, { client });
  const member = group.register("m0", "10.0.0.1:80");
  await group.ready;
  holding = true;
  await member.close();
  // The same instance again: what stands there is taken as its own.
  const next = group.register("m0", "10.0.0.1:80");
  await next.ready;
  const recorder = new Recorder(next as never, memberEvents);
  expect(late).toBeDefined();
  await late?.();
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0: "10.0.0.1:80" });
  // What the group follows has come past it.
  const services = lab.subscribe(prefix, { client });
  const revision = (await lab.etcd.put(`${prefix}marker`, "10.0.0.9:80")).revision;
  await services.until(() => services.revision >= revision);
  expect(recorder.of("lost")).toEqual([]);
});

test("an update that is not awaited, of a member that is closed, ends no process", async () => {
  const rejections: unknown[] = [];
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  const onRejection = (reason: unknown) => rejections.push(reason);
  process.on("unhandledRejection", onRejection);
  try {
    const prefix = lab.newPrefix();
    const group = groupOf(lab, prefix, 5, { client: lab.client() });
    const member = group.register("m0", "10.0.0.1:80");
    const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
    await Promise.all([group.ready, register.ready]);
    void member.update({ address: "10.0.0.2:80" });
    void register.update({ address: "10.0.0.2:80" });
    await Promise.all([member.close(), register.close()]);
    await settled();
  } finally {
    process.off("unhandledRejection", onRejection);
    for (const other of others) process.on("unhandledRejection", other);
  }
  expect(rejections.map(String)).toEqual([]);
});
