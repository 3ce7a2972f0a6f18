// Holds a lease and a watch for a moment, gives both up, and leaves the client open. argv: an endpoint
import { EtcdClient, prefix } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2] });
const watch = etcd.watch(prefix("program/"));
await watch.ready;
const lease = await etcd.grantLease(5);
await etcd.put("program/leased", "v", { lease });
for await (const { events } of watch) {
  console.log(events[0].kv.key);
  break;
}
await etcd.grantLease(300, { keepAlive: false });
await lease.revoke();
console.log("revoked");
