/** What stays the same about a member as long as its cluster lives. */
export interface MemberPlan {
  readonly index: number;
  readonly name: string;
  /** Where clients reach it. */
  readonly clientUrl: string;
  readonly peerPort: number;
  /** The URL under which its peers know it. */
  readonly peerUrl: string;
  readonly dataFolder: string;
  readonly logFile: string;
  /** Its part of TLS and authentication. */
  readonly securityFlags: readonly string[];
}

/** What the members of a cluster have in common. */
export interface ClusterPlan {
  readonly token: string;
  readonly members: readonly MemberPlan[];
  /** The caller's flags. They come last: of a flag given twice, etcd takes the second. */
  readonly extraFlags: readonly string[];
}

/**
 * The command line of a member.
 *
 * Time-outs, fsync and the rest are etcd's defaults, so what tests see is what production sees (the election time-out
 * also sets the shortest TTL that is granted). The one exception: members can be replaced at once, not only after all
 * have been connected for five seconds.
 */
export function memberFlags(member: MemberPlan, cluster: ClusterPlan, state: "new" | "existing"): string[] {
  const { clientUrl } = member;
  return [
    `--name=${member.name}`,
    `--data-dir=${member.dataFolder}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=http://127.0.0.1:${member.peerPort}`,
    `--initial-advertise-peer-urls=${member.peerUrl}`,
    `--initial-cluster=${cluster.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",")}`,
    `--initial-cluster-token=${cluster.token}`,
    `--initial-cluster-state=${state}`,
    "--strict-reconfig-check=false",
    ...member.securityFlags,
    ...cluster.extraFlags,
  ];
}
