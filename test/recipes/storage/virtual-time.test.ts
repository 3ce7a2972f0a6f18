import { expect, test } from "vitest";
import { Storage } from "../../../recipes/index.ts";
import { prefix } from "../../../src/index.ts";
import { fakeEtcd } from "../../../testing/index.ts";

test("touches do not lengthen the life of a key where etcd is slow to grant leases", async () => {
  await using etcd = await fakeEtcd({ time: "manual", latencyMs: 600 });
  const client = etcd.client();
  await using storage = new Storage({ client });
  const afterCalls = async <T>(calls: Promise<T>): Promise<T> => {
    await etcd.advance(5_000);
    return calls;
  };
  const lengths = async () => {
    const leases = etcd.entries(prefix("cache/")).map(({ lease }) => lease);
    const answers = await afterCalls(Promise.all(leases.map((lease) => lease && client.leaseTimeToLive(lease))));
    return answers.map((answer) => answer?.grantedSeconds);
  };
  const ids = ["cache/a", "cache/b"];
  await afterCalls(Promise.all(ids.map((id, i) => storage.put(id, "", { ttlSeconds: 10 + i }))));
  const first = await lengths();
  for (let round = 0; round < 8; round++) {
    expect(await afterCalls(Promise.all(ids.map((id) => storage.touch(id))))).toEqual([true, true]);
    expect(await lengths()).toEqual(first);
  }
});
