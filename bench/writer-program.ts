import { setTimeout as sleep } from "node:timers/promises";
import { EtcdClient } from "etcd-recipes";
import type { Order } from "./change-writer.ts";
import { putInstances } from "./instances.ts";

/** Prime to all sizes: the changes are all over the list. */
const stride = 7_919;
let next = 0;

async function write({ endpoints, size, changes, together, everyMs }: Order): Promise<void> {
  await using etcd = new EtcdClient({ endpoints });
  for (let done = 0; done < changes; done += together) {
    const indexes = Array.from({ length: together }, () => (next++ * stride) % size);
    await putInstances(etcd, indexes, `b${next}`, together);
    if (everyMs > 0) await sleep(everyMs);
  }
}

process.on("message", (order: Order) => {
  write(order).then(
    () => process.send?.(""),
    (error: unknown) => process.send?.(String(error)),
  );
});
