// Reads once and leaves the client open. argv: an endpoint
import { EtcdClient } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2] });
await etcd.put("program", "ran");
console.log((await etcd.get("program")).text);
