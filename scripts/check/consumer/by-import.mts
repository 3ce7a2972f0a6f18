import { EtcdClient, prefix, type ServiceInstance, ServiceRegister, SubscribeService } from "etcd-recipes";
import { type KeyValue, EtcdClient as LayerClient } from "etcd-recipes/client";
import { startEtcd } from "etcd-recipes/testing";

const cluster = await startEtcd();
const client = new EtcdClient({ endpoints: cluster.endpoints });
try {
  if (LayerClient !== EtcdClient) throw new Error("the two doors lead to different classes");

  await client.put("consumer/a", "1");
  const { kvs } = await client.range(prefix("consumer/"));
  const found: KeyValue | undefined = kvs[0];
  if (found?.text !== "1") throw new Error(`got ${found?.text}`);

  // `on` comes from Node's types, which this project does not have of its own.
  const seen: string[] = [];
  const services = new SubscribeService("/consumer/services/", { client });
  services.on("put", (instance: ServiceInstance) => seen.push(instance.address));
  const server = new ServiceRegister("/consumer/services/1", "10.0.0.1:8080", 5, { client });
  server.on("registered", () => console.log("registered"));
  await server.ready;
  await services.until((list) => list.length === 1, { timeoutMs: 10_000 });
  if (seen.join() !== "10.0.0.1:8080") throw new Error(`saw ${seen.join()}`);
  await server.close();
  await services.close();
} finally {
  await client.close();
  await cluster.close();
}
console.log("done");
