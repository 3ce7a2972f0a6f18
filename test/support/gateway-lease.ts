import type { LeaseId } from "../../src/index.ts";

// What another client, such as etcdctl, does to a lease that ours holds.

export async function revokeLease(endpoint: string, id: LeaseId): Promise<void> {
  await post(endpoint, "lease/revoke", { ID: BigInt(`0x${id}`).toString() });
}

/** Whole seconds that a lease has left, or -1 when there is no such lease. */
export async function leaseRemaining(endpoint: string, id: LeaseId): Promise<number> {
  const { TTL } = (await post(endpoint, "lease/timetolive", { ID: BigInt(`0x${id}`).toString() })) as { TTL?: string };
  return Number(TTL ?? 0);
}

async function post(endpoint: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${endpoint}/v3/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { connection: "close" },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}
