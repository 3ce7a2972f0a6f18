// Holds a lease, and closes on SIGUSR2, when its etcd answers no more. argv: an endpoint
import { EtcdClient } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2] });
await etcd.grantLease(60);
process.on("SIGUSR2", async () => {
  await etcd.close();
  console.log("closed");
});
console.log("ready");
