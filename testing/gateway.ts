import { type GatewayAccess, plainAccess } from "./gateway-access.ts";

/** What a member says of itself and of its leader. Ids are etcd's unsigned 64-bit numbers in decimal. */
export interface MemberStatus {
  readonly clusterId: string;
  readonly memberId: string;
  /** "0" when the member knows no leader. */
  readonly leaderId: string;
  readonly raftTerm: number;
  readonly revision: number;
}

interface StatusResponse {
  readonly header: {
    readonly cluster_id: string;
    readonly member_id: string;
    readonly revision?: string;
    readonly raft_term: string;
  };
  readonly leader?: string;
}

interface MemberListResponse {
  readonly members: readonly { readonly ID: string; readonly name?: string; readonly peerURLs: readonly string[] }[];
}

/** Whether the member answers through consensus: it is up and has a leader. False for everything else; never throws. */
export async function isServing(endpoint: string, access: GatewayAccess = plainAccess): Promise<boolean> {
  try {
    const { health } = (await access.get(`${endpoint}/health?exclude=NOSPACE`)) as { health?: string };
    return health === "true";
  } catch {
    return false;
  }
}

/** The member's own view, without consensus: a member without a leader answers too. */
export async function readStatus(endpoint: string, access: GatewayAccess = plainAccess): Promise<MemberStatus> {
  const { header, leader } = (await access.postOpen(endpoint, "maintenance/status", {})) as StatusResponse;
  return {
    clusterId: header.cluster_id,
    memberId: header.member_id,
    leaderId: leader ?? "0",
    raftTerm: Number(header.raft_term),
    revision: Number(header.revision ?? 0),
  };
}

export async function transferLeadership(
  leaderEndpoint: string,
  memberId: string,
  access: GatewayAccess,
): Promise<void> {
  await access.post(leaderEndpoint, "maintenance/transfer-leadership", { targetID: memberId });
}

/** The id of the member with this peer URL, or undefined. */
export async function findMemberId(
  endpoint: string,
  peerUrl: string,
  access: GatewayAccess,
): Promise<string | undefined> {
  const { members } = (await access.post(endpoint, "cluster/member/list", {})) as MemberListResponse;
  return members.find((member) => member.peerURLs.includes(peerUrl))?.ID;
}

export async function removeMember(endpoint: string, memberId: string, access: GatewayAccess): Promise<void> {
  await access.post(endpoint, "cluster/member/remove", { ID: memberId });
}

export async function addMember(endpoint: string, peerUrl: string, access: GatewayAccess): Promise<void> {
  await access.post(endpoint, "cluster/member/add", { peerURLs: [peerUrl] });
}

/** Drops the history before `revision`, on disk too when it returns. */
export async function compactHistory(endpoint: string, revision: number, access: GatewayAccess): Promise<void> {
  await access.post(endpoint, "kv/compaction", { revision: String(revision), physical: true });
}
