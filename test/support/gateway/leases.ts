import type { LeaseId } from "../../../src/index.ts";
import { Gateway } from "./gateway.ts";

/** The ids of all leases that there are, in hex. */
export async function leasesOf(endpoint: string): Promise<string[]> {
  const { leases = [] } = (await new Gateway(endpoint).post("lease/leases", {})) as { leases?: { ID: string }[] };
  return leases.map(({ ID }) => BigInt(ID).toString(16));
}

export async function revokeLease(endpoint: string, id: LeaseId): Promise<void> {
  await new Gateway(endpoint).post("lease/revoke", { ID: decimal(id) });
}

/** Whole seconds that a lease has left, or -1 when there is no such lease. */
export async function leaseRemaining(endpoint: string, id: LeaseId): Promise<number> {
  const { TTL } = (await new Gateway(endpoint).post("lease/timetolive", { ID: decimal(id) })) as { TTL?: string };
  return Number(TTL ?? 0);
}

function decimal(id: LeaseId): string {
  return BigInt(`0x${id}`).toString();
}
