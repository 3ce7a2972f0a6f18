import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
import { defaultClient, EtcdClient, setDefaultClient } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("without a client, recipes share the default one, and leave it open", async () => {
  setDefaultClient({ endpoints: lab.cluster.endpoints });
  const prefix = lab.newPrefix();
  const server = new ServiceRegister(`${prefix}m1`, "10.0.0.1:8080", 5);
  const services = new SubscribeService(prefix);
  expect(addressesOf(await services.until(({ length }) => length === 1))).toEqual(["10.0.0.1:8080"]);
  await server.close();
  await services.close();
  expect(defaultClient().closed).toBe(false);
  await defaultClient().close();
});

test("after the shared client was closed, the next recipe has a new one", async () => {
  const prefix = lab.newPrefix();
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  setDefaultClient(client);
  await client.close();
  expect(defaultClient()).not.toBe(client);
  // It is made from the environment, which the tests keep empty of endpoints.
  expect(defaultClient().endpoints).toEqual(["http://127.0.0.1:2379"]);
  setDefaultClient({ endpoints: lab.cluster.endpoints });
  await using server = new ServiceRegister(`${prefix}m1`, "10.0.0.1:8080", 5);
  await server.ready;
});

test("options make a client of the recipe's own, which it closes", async () => {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const services = new SubscribeService(lab.newPrefix(), { client: { endpoints: proxy.endpoint } });
  await services.ready;
  expect(proxy.connections).toBeGreaterThan(0);
  await services.close();
  await until(() => proxy.connections === 0, { message: "no connection is left" });
});
