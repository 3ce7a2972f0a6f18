import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { startEtcd } from "../../../testing/index.ts";

test("a process that was stopped reads what has come meanwhile, before it judges who has not answered", async () => {
  await using cluster = await startEtcd();
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const statuses: string[] = [];
  await using first = etcd.watch("stopped/watched", { onStatus: (status) => statuses.push(status) });
  await first.ready;
  const { id } = await etcd.grantLease(60, { keepAlive: false });
  const { revision } = await etcd.put("stopped/0", "");

  const call = { batch: true, timeoutMs: 1_000 };
  const puts = Promise.allSettled([etcd.put("stopped/1", "", call), etcd.put("stopped/2", "", call)]);
  const renewal = etcd.keepAliveOnce(id);
  const outcome = renewal.then(
    () => "renewed",
    (error: unknown) => error,
  );
  await using second = etcd.watch("stopped/watched", { startRevision: revision + 1 });
  // All of it leaves; etcd answers while this process stands still, for longer than each of the limits.
  await new Promise(setImmediate);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_500);

  expect((await puts).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  expect(await outcome).toBe("renewed");
  await second.ready;
  expect(statuses).toEqual(["live"]);
});
