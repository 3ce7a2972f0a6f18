const { EtcdClient, Mutex } = require("etcd-recipes");

// Its time stands still from here on; etcd's does not.
beforeEach(() => jest.useFakeTimers());

test("a lease is kept, a watch and a lock work", async () => {
  const client = new EtcdClient();
  const lease = await client.grantLease(3);
  const watch = client.watch("/jest/watched");
  await watch.ready;
  await client.put("/jest/watched", "a", { lease });
  for await (const { events } of watch) {
    expect(events[0].kv.text).toBe("a");
    break;
  }
  const mutex = new Mutex("/jest/lock", { client });
  const lock = await mutex.acquire();
  await expect(mutex.acquire({ timeoutMs: 4_000 })).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  await lock.release();
  expect(lease.signal.aborted).toBe(false);
  expect(await client.get("/jest/watched")).toBeDefined();
  await lease.revoke();
  await mutex.close();
  await client.close();
}, 20_000);
