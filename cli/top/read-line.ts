import { type EtcdClient, type LeaseId, LeaseNotFoundError, prefix } from "../../recipes/index.ts";
import type { LineSection } from "./snapshot.ts";

/** Who leads or holds, and who waits: Go's `concurrency` and etcdctl write the same keys. */
export async function readLine(
  etcd: EtcdClient,
  type: LineSection["type"],
  name: string,
  timeoutMs: number,
): Promise<LineSection> {
  const { kvs } = await etcd.range(prefix(`${name}/`), { timeoutMs });
  const inLine = kvs
    .map(({ key, text, createRevision: token, lease }) => {
      // A lock has no value: who it is can be seen by its lease alone.
      const who = type === "election" ? text : `lease ${key.slice(name.length + 1)}`;
      return { who, token, lease };
    })
    .sort((a, b) => a.token - b.token);
  const [first, ...others] = inLine;
  const waiting = others.map(({ who }) => who);
  if (!first) return { type, name, head: undefined, waiting };
  const leaseLeftMs = first.lease === undefined ? undefined : await leftOf(etcd, first.lease, timeoutMs);
  return { type, name, head: { who: first.who, token: first.token, leaseLeftMs }, waiting };
}

/** 0 once it has ended. */
async function leftOf(etcd: EtcdClient, lease: LeaseId, timeoutMs: number): Promise<number> {
  try {
    const { remainingSeconds } = await etcd.leaseTimeToLive(lease, { keys: false, timeoutMs });
    return remainingSeconds * 1_000;
  } catch (error) {
    if (error instanceof LeaseNotFoundError) return 0;
    throw error;
  }
}
