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

const timeoutMs = 3_000;

/** Whether the member answers through consensus: it is up and has a leader. False for everything else; never throws. */
export async function isServing(endpoint: string): Promise<boolean> {
  try {
    const { health } = (await request(`${endpoint}/health?exclude=NOSPACE`, { method: "GET" })) as { health?: string };
    return health === "true";
  } catch {
    return false;
  }
}

/** The member's own view, without consensus: a member without a leader answers too. */
export async function readStatus(endpoint: string): Promise<MemberStatus> {
  const { header, leader } = (await post(endpoint, "maintenance/status", {})) as StatusResponse;
  return {
    clusterId: header.cluster_id,
    memberId: header.member_id,
    leaderId: leader ?? "0",
    raftTerm: Number(header.raft_term),
    revision: Number(header.revision ?? 0),
  };
}

export async function transferLeadership(leaderEndpoint: string, memberId: string): Promise<void> {
  await post(leaderEndpoint, "maintenance/transfer-leadership", { targetID: memberId });
}

/** The id of the member with this peer URL, or undefined. */
export async function findMemberId(endpoint: string, peerUrl: string): Promise<string | undefined> {
  const { members } = (await post(endpoint, "cluster/member/list", {})) as MemberListResponse;
  return members.find((member) => member.peerURLs.includes(peerUrl))?.ID;
}

export async function removeMember(endpoint: string, memberId: string): Promise<void> {
  await post(endpoint, "cluster/member/remove", { ID: memberId });
}

export async function addMember(endpoint: string, peerUrl: string): Promise<void> {
  await post(endpoint, "cluster/member/add", { peerURLs: [peerUrl] });
}

/** Drops the history before `revision`, on disk too when it returns. */
export async function compactHistory(endpoint: string, revision: number): Promise<void> {
  await post(endpoint, "kv/compaction", { revision: String(revision), physical: true });
}

function post(endpoint: string, path: string, body: object): Promise<unknown> {
  return request(`${endpoint}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
}

async function request(url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, {
    ...init,
    // A kept connection would be found dead by the first request after a member was killed.
    headers: { connection: "close" },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`etcd refused ${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}
