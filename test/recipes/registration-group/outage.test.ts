import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf, requestsServed, revokeLease } from "../../support/gateway/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { groupEvents, groupOf, memberEvents, registerMany, untilThere, viewFor } from "./group-lab.ts";

const ttl = 2;

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("after an outage of 3×TTL the exact keys stand there: updated ones with the newest value, closed ones never", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, ttl, { client: lab.client() });
  const members = registerMany(group, 600);
  await group.ready;
  const recorder = new Recorder(members[0] as never, memberEvents);
  await lab.cluster.kill();
  const downAt = performance.now();
  await until(() => members.every(({ status }) => status === "recovering"));
  const wanted = viewFor(members.slice(200));
  const updates = members.slice(200, 300).map((member, index) => {
    wanted[member.id] = `10.9.0.${index}:80`;
    void member.update({ address: "10.8.8.8:80" });
    return member.update({ address: `10.9.0.${index}:80` });
  });
  const closings = members.slice(100, 200).map((member) => member.close());
  const late = registerMany(group, 50, 1_000);
  for (const [id, address] of Object.entries(viewFor(late))) wanted[id] = address;
  Object.assign(wanted, viewFor(members.slice(0, 100)));
  await Promise.all(closings);
  expect(performance.now() - downAt).toBeLessThan(2 * ttl * 1_000 + 3_000);
  await until(() => performance.now() - downAt >= 3 * ttl * 1_000, { timeoutMs: 3 * ttl * 1_000 + 1_000 });

  await lab.cluster.restart();
  const healedAt = await revisionOf(lab.etcd);
  await Promise.all(updates);
  await untilThere(lab, group, wanted);
  await until(async () => (await leasesOf(lab.endpoint)).length === 1, { message: "only the living lease is left" });
  expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
  const closed = new Set(members.slice(100, 200).map(({ key }) => key));
  const puts = (await historyOf(lab.etcd, prefix, healedAt + 1)).filter(({ type }) => type === "put");
  expect(puts.filter(({ kv }) => closed.has(kv.key))).toEqual([]);
  const received = recorder.names.filter((name) => name !== "warning");
  expect(received, recorder.of<Error>("lost").join()).toEqual(["status", "lost", "status", "registered"]);
});

test("registered for the first time while etcd is away, they stand there when it is back", async () => {
  const prefix = lab.newPrefix();
  await lab.cluster.kill();
  const group = groupOf(lab, prefix, ttl, { client: lab.client({ requestTimeoutMs: 500 }) });
  const recorder = new Recorder(group, groupEvents);
  const members = registerMany(group, 300);
  const closed = registerMany(group, 10, 300);
  await until(() => recorder.of("warning").length > 0);
  await Promise.all(closed.map((member) => member.close()));
  await lab.cluster.restart();
  await group.ready;
  await untilThere(lab, group, viewFor(members));
});

test("a revoked lease: all come back on one new lease by a handful of requests, each loss reported once", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { client: lab.client() });
  const members = registerMany(group, 1_000);
  await group.ready;
  const [lease] = await leasesOf(lab.endpoint);
  const recorder = new Recorder(group, groupEvents);
  const before = await requestsServed(lab.endpoint);
  await revokeLease(lab.endpoint, lease as never);
  await until(() => recorder.of("registered").length >= members.length, { timeoutMs: 20_000 });
  await untilThere(lab, group, viewFor(members));
  expect(recorder.of("lost")).toHaveLength(members.length);
  const now = await leasesOf(lab.endpoint);
  expect(now).toHaveLength(1);
  expect(now).not.toEqual([lease]);
  const after = await requestsServed(lab.endpoint);
  // All once more, and those that were under way when the lease was found to be gone.
  expect((after.Txn ?? 0) - (before.Txn ?? 0)).toBeLessThan(4 * Math.ceil(members.length / 127));
});

for (const [how, raise] of [
  ["below", 0],
  ["above", 400],
] as const) {
  test(`etcd wiped, its new revision ${how} the old: all are there again, what was closed is not`, async () => {
    const prefix = lab.newPrefix();
    const group = groupOf(lab, prefix, 5, { client: lab.client() });
    const members = registerMany(group, 300);
    await group.ready;
    await Promise.all(members.slice(0, 100).map((member) => member.close()));
    await lab.cluster.wipe();
    for (let put = 0; put < raise; put++) await lab.etcd.put("/other", "x");
    await untilThere(lab, group, viewFor(members.slice(100)));
    expect(group.size).toBe(200);
  });
}
