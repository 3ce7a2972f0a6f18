import { expect, test } from "vitest";
import { ClusterMonitor } from "../../../recipes/index.ts";
import { ClientClosedError, PermissionDeniedError, RequestRefusedError, type TxnOptions } from "../../../src/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { Recorder } from "../../support/recorder.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

function monitorOf(lab: VirtualLab) {
  const { etcd, link } = lab.client();
  const monitor = new ClusterMonitor("/nodes/", { client: etcd, ttlSeconds: 60 });
  lab.also(() => monitor.close());
  monitor.on("warning", () => {});
  return { monitor, etcd, link, recorder: new Recorder(monitor, ["up", "down", "changed", "failed"]) };
}

test("a node says since when it is up by its client's clock, and is down when its process is away for its TTL", async () => {
  await using lab = new VirtualLab("nodes");
  const [worker, watcher] = [monitorOf(lab), monitorOf(lab)];
  const joinedAt = lab.clock.wallMs();
  const membership = worker.monitor.join("worker-1", { zone: "a" });
  await lab.until(membership.ready);
  await lab.pass(3_600_000);
  const changedAt = lab.clock.wallMs();
  await lab.until(membership.update({ zone: "b" }));
  await lab.pass(0);
  expect(watcher.monitor.nodes()).toMatchObject([
    { name: "worker-1", info: { zone: "b" }, upSince: joinedAt, lastChange: changedAt },
  ]);
  watcher.recorder.clear();
  worker.link.cut();
  await lab.pass(39_000);
  expect(watcher.recorder.names).toEqual([]);
  await lab.pass(21_000);
  expect(watcher.recorder.names).toEqual(["down"]);
  worker.link.join();
  await lab.pass(10_000);
  expect(watcher.recorder.names).toEqual(["down", "up"]);
  expect(watcher.monitor.nodes()).toMatchObject([{ upSince: joinedAt }]);
});

test("of two infos in a row that etcd refuses, nothing is sent again when the node leaves", async () => {
  await using lab = new VirtualLab("two refusals");
  const [worker, watcher] = [monitorOf(lab), monitorOf(lab)];
  const membership = worker.monitor.join("worker-1", { zone: "a" });
  await lab.until(membership.ready);
  await lab.until(membership.update({ zone: "b" }));
  const tooLarge = (zone: string) => outcomeOf(membership.update({ zone, notes: "x".repeat(2 ** 21) }));
  const refused = Promise.all([tooLarge("c"), tooLarge("d")]);
  await lab.until(refused);
  for (const { error } of await refused) expect(error).toBeInstanceOf(RequestRefusedError);
  await lab.pass(1_000);
  const leftAt = lab.clock.wallMs();
  const leaving = membership.leave({ drainMs: 10_000 });
  await lab.pass(1_000);
  expect(watcher.monitor.nodes()).toMatchObject([{ info: { zone: "b" }, draining: true, lastChange: leftAt }]);
  await lab.until(leaving);
});

/** A node that is registered, and waits for a list that its role may not read any more. */
async function unlisted(lab: VirtualLab) {
  const { monitor, etcd } = monitorOf(lab);
  await lab.until(monitor.ready);
  const { txn } = etcd;
  let writes: Error | undefined;
  etcd.txn = async (request, options) => {
    const isRead = (request as TxnOptions).success?.every(({ type }) => type === "range");
    if (isRead) throw new PermissionDeniedError("no right to read");
    if (writes) throw writes;
    return txn.call(etcd, request as TxnOptions, options);
  };
  const membership = monitor.join("worker-1", { zone: "a" });
  let isSettled = false;
  const ready = outcomeOf(membership.ready).finally(() => {
    isSettled = true;
  });
  await lab.pass(10_000);
  expect({ status: membership.status, isSettled }).toEqual({ status: "registered", isSettled: false });
  const failWrites = (error: Error) => {
    writes = error;
  };
  return { monitor, membership, ready, failWrites };
}

test("ready of a node that leaves before it could be in the list rejects", async () => {
  await using lab = new VirtualLab("left");
  const { membership, ready } = await unlisted(lab);
  await lab.until(membership.leave());
  await lab.until(ready);
  expect((await ready).error).toBeInstanceOf(ClientClosedError);
});

test("ready of a node that fails before it could be in the list rejects with the failure", async () => {
  await using lab = new VirtualLab("failed");
  const { monitor, membership, ready, failWrites } = await unlisted(lab);
  const failure = new Error("a bug");
  failWrites(failure);
  const update = outcomeOf(membership.update({ zone: "b" }));
  await lab.until(ready);
  expect((await ready).error).toBe(failure);
  expect((await update).error).toBe(failure);
  expect([membership.status, monitor.status]).toEqual(["failed", "live"]);
});
