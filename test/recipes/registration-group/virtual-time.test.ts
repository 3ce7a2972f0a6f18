import { expect, test } from "vitest";
import { RegistrationGroup, type RegistrationGroupOptions, ServiceRegister } from "../../../recipes/index.ts";
import { decodeRegistration } from "../../../recipes/registration-format/internal.ts";
import {
  type EtcdClient,
  type EtcdError,
  leaseId,
  PermissionDeniedError,
  prefix,
  type TxnOptions,
  UnavailableError,
} from "../../../src/index.ts";
import { runtimeOf, setRuntime } from "../../../src/internal/runtime-of.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { Recorder } from "../../support/recorder.ts";
import { type VirtualClient, VirtualLab } from "../../support/virtual-lab.ts";

// Hours in milliseconds: etcd is in memory, and its clock, the client's and the group's are one.

function groupOf(lab: VirtualLab, { etcd }: VirtualClient, options: RegistrationGroupOptions = {}) {
  const group = new RegistrationGroup("/svc/", 10, { client: etcd, ...options });
  lab.also(() => group.close());
  return {
    group,
    recorder: new Recorder(group, ["registered", "lost", "conflict", "memberFailed", "failed", "warning"]),
  };
}

const standing = (lab: VirtualLab) => lab.memory.entries(prefix("/svc/"));

test("instances stay listed for hours", async () => {
  await using lab = new VirtualLab("hours");
  const { group, recorder } = groupOf(lab, lab.client());
  for (let index = 0; index < 300; index++) group.register(`m${index}`, "10.0.0.1:80");
  await lab.until(group.ready);
  const before = standing(lab);
  await lab.pass(3 * 3_600_000);
  expect(standing(lab)).toEqual(before);
  expect(before).toHaveLength(300);
  expect(recorder.names.filter((name) => name !== "registered")).toEqual([]);
});

test("an outage of ten minutes takes them out at their TTL, and they come back within the longest pause", async () => {
  await using lab = new VirtualLab("ten minutes");
  const client = lab.client();
  const { group, recorder } = groupOf(lab, client);
  const members = Array.from({ length: 300 }, (_, index) => group.register(`m${index}`, "10.0.0.1:80"));
  await lab.until(group.ready);
  client.link.cut();
  await lab.pass(10_000);
  expect(standing(lab)).toEqual([]);
  await lab.pass(590_000);
  expect(recorder.of("lost")).toHaveLength(300);
  recorder.clear();
  client.link.join();
  await lab.pass(5_000);
  expect(standing(lab)).toHaveLength(300);
  await lab.pass(5_000);
  expect(members.every(({ status }) => status === "registered")).toBe(true);
  expect(recorder.of("registered")).toHaveLength(300);
});

test("an instance that may not stand beside another format is not registered while etcd refuses the look", async () => {
  await using lab = new VirtualLab("no look");
  const client = lab.client();
  const { group, recorder } = groupOf(lab, client, { foreignFormats: "error" });
  await lab.until(group.register("orders/m1", "10.0.0.1:80").ready);
  const { txn } = client.etcd;
  client.etcd.txn = async (request, options) => {
    const isRead = !Array.isArray(request) && (request as TxnOptions).success?.every(({ type }) => type === "range");
    if (isRead) throw new PermissionDeniedError("no right to read");
    return txn.call(client.etcd, request as TxnOptions, options);
  };
  const member = group.register("orders/m2", "10.0.0.2:80");
  await lab.pass(600_000);
  expect(standing(lab)).toHaveLength(1);
  expect(recorder.of("warning")).toMatchObject([{ code: "ETCD_PERMISSION_DENIED" }]);
  client.etcd.txn = txn;
  await lab.until(member.ready);
  expect(standing(lab)).toHaveLength(2);
});

test("instances drain for the minute that they are given, and then go together", async () => {
  await using lab = new VirtualLab("draining");
  const { group } = groupOf(lab, lab.client());
  for (const id of ["a", "b", "c"]) group.register(id, "10.0.0.1:80", { format: "endpoint" });
  await lab.until(group.ready);
  const closing = group.close({ drainMs: 60_000 });
  await lab.pass(59_000);
  expect(standing(lab).map(({ text }) => decodeRegistration(text).draining)).toEqual([true, true, true]);
  expect(await lab.until(closing)).toBe(1_000);
  expect(standing(lab)).toEqual([]);
  expect(lab.memory.leaseIds).toEqual([]);
});

/** A client whose mirrors report nothing, as the watch of an old server can. */
function deafClient({ etcd }: VirtualClient): EtcdClient {
  const nothing = () => ({ next: () => new Promise(() => {}) });
  const deaf = Object.create(etcd, {
    mirror: { value: () => ({ get: () => undefined, close: async () => {}, [Symbol.asyncIterator]: nothing }) },
    grantLease: { value: etcd.grantLease.bind(etcd) },
    txn: { value: etcd.txn.bind(etcd) },
  });
  setRuntime(deaf, runtimeOf(etcd));
  return deaf;
}

test("one that waits for another owner finds out that the key is free, also when the group has no lease", async () => {
  await using lab = new VirtualLab("free");
  const client = lab.client();
  const { group } = groupOf(lab, { ...client, etcd: deafClient(client) });
  const key = Buffer.from("/svc/a");
  lab.memory.put({ key, value: Buffer.from("theirs") });
  const member = group.register("a", "10.0.0.1:80", { onConflict: "wait" });
  await lab.pass(1_000);
  for (const id of lab.memory.leaseIds) lab.memory.leaseRevoke(leaseId(id));
  await lab.pass(1_000);
  expect(member.status).toBe("passive");
  lab.memory.deleteRange({ range: { start: key } });
  await lab.pass(60_000);
  expect([member.status, standing(lab).map(({ text }) => text)]).toEqual(["registered", ["10.0.0.1:80"]]);
});

test.each(["the group", "an instance"])(
  "when etcd is back, closing %s waits for no pause after a failure",
  async (what) => {
    await using lab = new VirtualLab("no pause");
    const client = lab.client();
    const { group, recorder } = groupOf(lab, client);
    const member = group.register("a", "10.0.0.1:80", { format: "endpoint" });
    await lab.until(group.ready);
    const { txn } = client.etcd;
    let failures = 0;
    client.etcd.txn = async () => {
      failures++;
      throw new UnavailableError("no endpoint answers", { retryable: true });
    };
    void member.update({ weight: 20 });
    // The pauses grow, and one has just begun.
    await lab.pass(60_000);
    for (const before = failures; failures === before; ) await lab.pass(1);
    client.etcd.txn = txn;
    const closing = (what === "the group" ? group : member).close({ drainMs: 10_000 });
    await lab.pass(20);
    expect(standing(lab).map(({ text }) => decodeRegistration(text))).toMatchObject([{ draining: true, weight: 20 }]);
    expect(await lab.until(closing)).toBeLessThanOrEqual(10_000);
    expect(recorder.of("warning")).toMatchObject([{ code: "ETCD_UNAVAILABLE" }]);
  },
);

test.each(["a group", "its own"])(
  "an update to what stands there, and one that etcd refuses, settle at once, of %s",
  async (of) => {
    await using lab = new VirtualLab("no change");
    const client = lab.client();
    const member =
      of === "a group"
        ? groupOf(lab, client).group.register("a", "10.0.0.1:80", { weight: 10 })
        : new ServiceRegister("/svc/a", "10.0.0.1:80", 10, { client: client.etcd, weight: 10 });
    lab.also(() => member.close());
    await lab.until(member.ready);
    await lab.pass(1_000);
    const same = outcomeOf(member.update({ weight: 10 }));
    const tooLarge = outcomeOf(member.update({ metadata: { notes: "x".repeat(2 ** 21) } }));
    const settling = Promise.all([same, tooLarge]);
    expect(await lab.until(settling)).toBeLessThan(1_000);
    const codes = (await settling).map(({ error }) => (error as EtcdError | undefined)?.code);
    expect(codes).toEqual([undefined, "ETCD_REQUEST_REFUSED"]);
    expect(standing(lab).map(({ text }) => decodeRegistration(text))).toMatchObject([{ weight: 10 }]);
  },
);

test("closing during an outage takes five seconds", async () => {
  await using lab = new VirtualLab("closing");
  const client = lab.client();
  const { group } = groupOf(lab, client);
  for (const id of ["a", "b", "c"]) group.register(id, "10.0.0.1:80");
  await lab.until(group.ready);
  client.link.cut();
  group.on("warning", () => {});
  expect(await lab.until(group.close())).toBe(5_000);
});

test("the pauses between attempts are drawn from the client's chance: the same outage goes the same way twice", async () => {
  const runs: unknown[] = [];
  for (let run = 0; run < 2; run++) {
    await using lab = new VirtualLab("chance");
    const client = lab.client();
    client.link.cut();
    const { group, recorder } = groupOf(lab, client);
    const member = group.register("a", "10.0.0.1:80");
    await lab.pass(60_000);
    client.link.join();
    const tookMs = await lab.until(group.ready, { stepMs: 1 });
    runs.push([tookMs, recorder.names, member.status]);
  }
  expect(runs[0]).toEqual(runs[1]);
});
