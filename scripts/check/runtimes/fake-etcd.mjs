// An etcd in memory, by hand and by real time, without any process.
import { EtcdClient, ServiceRegister, SubscribeService } from "etcd-recipes";
import { fakeEtcd } from "etcd-recipes/testing";

function check(holds, what) {
  if (!holds) throw new Error(what);
}

async function byHand() {
  const etcd = await fakeEtcd({ time: "manual" });
  const client = etcd.client();
  check(client instanceof EtcdClient, "the client is of another class");
  const services = new SubscribeService("/svc/", { client });
  const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client: etcd.options });
  for (const recipe of [services, server]) recipe.on("warning", () => {});
  await Promise.all([services.ready, server.ready]);
  await etcd.advance(60_000);
  check(services.list().length === 1, "the registration is gone");
  etcd.down();
  await etcd.advance(6_000);
  check(Object.keys(etcd.dump()).length === 0, "the lease did not end");
  etcd.up();
  await etcd.advance(60_000);
  check(server.status === "registered", `the server is ${server.status}`);
  await server.close();
  check(services.list().length === 0, "the list is stale");
  await services.close();
  await etcd.close();
}

async function byRealTime() {
  const etcd = await fakeEtcd();
  const client = etcd.client();
  const lease = await client.grantLease(2, { keepAlive: false });
  const watch = client.watch("k");
  await watch.ready;
  await client.put("k", "v", { lease });
  const types = [];
  for await (const { events } of watch) {
    types.push(...events.map(({ type }) => type));
    if (types.includes("delete")) break;
  }
  check(types.join() === "put,delete", `the watch saw ${types.join()}`);
  await etcd.close();
}

async function main() {
  await byHand();
  await byRealTime();
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
