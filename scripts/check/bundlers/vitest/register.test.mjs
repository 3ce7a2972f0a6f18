import { EtcdClient, ServiceRegister } from "etcd-recipes";
import { expect, test } from "vitest";

test("a service registers under a lease", async () => {
  const client = new EtcdClient();
  const server = new ServiceRegister("/vitest/1", "10.0.0.1:8080", 5, { client });
  await server.ready;
  const found = await client.get("/vitest/1");
  expect(found.text).toBe("10.0.0.1:8080");
  expect(found.lease).toBeDefined();
  await server.close();
  await client.close();
});
