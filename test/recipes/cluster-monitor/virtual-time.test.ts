import { expect, test } from "vitest";
import { ClusterMonitor } from "../../../recipes/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

function monitorOf(lab: VirtualLab) {
  const { etcd, link } = lab.client();
  const monitor = new ClusterMonitor("/nodes/", { client: etcd, ttlSeconds: 60 });
  lab.also(() => monitor.close());
  monitor.on("warning", () => {});
  return { monitor, link, recorder: new Recorder(monitor, ["up", "down", "changed", "failed"]) };
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
