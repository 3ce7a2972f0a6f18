// What each bundle does: it registers a service under a lease of its own, finds it, and ends by itself.
import { EtcdClient, ServiceRegister } from "etcd-recipes";

async function main() {
  const client = new EtcdClient();
  const key = `/bundled/${process.pid}`;
  const server = new ServiceRegister(key, "10.0.0.1:8080", 5, { client });
  await server.ready;
  const found = await client.get(key);
  if (found?.text !== "10.0.0.1:8080" || found.lease === undefined) throw new Error(`found ${JSON.stringify(found)}`);
  await server.close();
  if (await client.get(key)) throw new Error("the key is still there");
  await client.close();
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
