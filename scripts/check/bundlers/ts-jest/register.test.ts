import { EtcdClient, type KeyValue, ServiceRegister } from "etcd-recipes";

test("a service registers under a lease", async () => {
  const client = new EtcdClient();
  const server = new ServiceRegister("/ts-jest/1", "10.0.0.1:8080", 5, { client });
  await server.ready;
  const found: KeyValue | undefined = await client.get("/ts-jest/1");
  expect(found?.text).toBe("10.0.0.1:8080");
  expect(found?.lease).toBeDefined();
  await server.close();
  await client.close();
});
