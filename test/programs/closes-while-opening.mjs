// Stops following before the stream is there, closes nothing else: then nothing may keep this process from ending.
import { EtcdClient } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2] });
for (let round = 0; round < 3; round++) {
  const mirror = etcd.mirror("closes-while-opening");
  for await (const _snapshot of mirror) break;
  await mirror.close();
  const another = etcd.mirror("closes-while-opening");
  await null;
  await another.close();
}
console.log("nothing is left to do");
