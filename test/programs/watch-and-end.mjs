// Follows, stops following, closes nothing else: then nothing may keep this process from ending.
import { EtcdClient } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2] });
const watch = etcd.watch("watch-and-end");
const mirror = etcd.mirror("watch-and-end");
await Promise.all([watch.ready, mirror.ready]);
await etcd.put("watch-and-end", "once");
for await (const batch of watch) {
  console.log(`seen at ${batch.revision}`);
  break;
}
await mirror.close();
console.log("nothing is left to do");
