// Asks a server that never answers, gives up, and leaves the client open. argv: endpoints
import { EtcdClient } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2], requestTimeoutMs: 500, dialTimeoutMs: 200 });
await etcd.get("k").catch((error) => console.log(error.code));
