import { type EtcdClient, type OpResult, prefix, rangeOp } from "../../recipes/index.ts";
import type { QueueSection } from "./snapshot.ts";

/** Jobs and dead letters are counted by etcd, so that a long queue costs nothing; of workers there are few. */
export async function readQueue(etcd: EtcdClient, name: string, timeoutMs: number): Promise<QueueSection> {
  const counts = ["jobs", "dead"].map((room) => rangeOp(prefix(`${name}/${room}/`), { countOnly: true }));
  const keys = ["workers", "waiting"].map((room) => rangeOp(prefix(`${name}/${room}/`), { keysOnly: true }));
  const { responses } = await etcd.txn({ success: [...counts, ...keys] }, { timeoutMs });
  const [jobs = 0, dead = 0] = responses.map((response) => (response.type === "range" ? response.count : 0));
  const [, , living, waiting] = responses.map(idsOf);
  const idle = waiting ?? [];
  // One that has had no job yet has only its place among those who wait.
  return {
    type: "queue",
    name,
    jobs,
    dead,
    workers: new Set([...(living ?? []), ...idle]).size,
    idleWorkers: idle.length,
  };
}

function idsOf(response: OpResult): readonly string[] {
  if (response.type !== "range") return [];
  return response.kvs.map(({ key }) => key.slice(key.lastIndexOf("/") + 1));
}
