const { EtcdClient, ServiceRegister } = require("etcd-recipes");
const { fakeEtcd } = require("etcd-recipes/testing");

afterEach(() => jest.useRealTimers());

test("a fake etcd lives by hand, with clients of the very class", async () => {
  const etcd = await fakeEtcd({ time: "manual" });
  const client = etcd.client();
  expect(client).toBeInstanceOf(EtcdClient);
  const server = new ServiceRegister("/jest/fake", "10.0.0.1:8080", 5, { client });
  server.on("warning", () => {});
  await server.ready;
  await etcd.advance(60_000);
  expect(etcd.dump()).toEqual({ "/jest/fake": "10.0.0.1:8080" });
  etcd.down();
  await etcd.advance(6_000);
  expect(etcd.dump()).toEqual({});
  etcd.up();
  await etcd.advance(60_000);
  expect(etcd.dump()).toEqual({ "/jest/fake": "10.0.0.1:8080" });
  await server.close();
  await etcd.close();
});

test("a fake etcd lives by Jest's fake timers", async () => {
  jest.useFakeTimers();
  const etcd = await fakeEtcd({ time: "globals" });
  const client = etcd.client();
  const server = new ServiceRegister("/jest/fake", "10.0.0.1:8080", 5, { client });
  await server.ready;
  const lease = await client.grantLease(10, { keepAlive: false });
  await client.put("/jest/detached", "v", { lease });
  await jest.advanceTimersByTimeAsync(9_900);
  expect(Object.keys(etcd.dump())).toEqual(["/jest/detached", "/jest/fake"]);
  await jest.advanceTimersByTimeAsync(60_000);
  expect(Object.keys(etcd.dump())).toEqual(["/jest/fake"]);
  await server.close();
  await etcd.close();
});
