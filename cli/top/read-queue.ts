import { type EtcdClient, prefix, rangeOp } from "../../recipes/index.ts";
import type { QueueSection } from "./snapshot.ts";

/** How many keys stand in each part of a queue: counted by etcd, so that a long one costs nothing. */
export async function readQueue(etcd: EtcdClient, name: string, timeoutMs: number): Promise<QueueSection> {
  const rooms = ["jobs", "claims", "dead", "waiting"].map((room) =>
    rangeOp(prefix(`${name}/${room}/`), { countOnly: true }),
  );
  const { responses } = await etcd.txn({ success: rooms }, { timeoutMs });
  const counts = responses.map((response) => (response.type === "range" ? response.count : 0));
  const [jobs = 0, inHand = 0, dead = 0, idleWorkers = 0] = counts;
  return { type: "queue", name, jobs, inHand, dead, idleWorkers };
}
