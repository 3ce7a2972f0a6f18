import type { EtcdClient, EtcdHealth, EtcdStatus } from "../../recipes/index.ts";
import { bad, type Check, type Finding, ok, warn } from "./finding.ts";
import { judgeSilence } from "./silent-endpoint.ts";
import { judgeVersion } from "./versions.ts";

const SLOW_MS = 100;
/** etcd itself refuses requests when a member is 5000 entries behind. */
const LAGGING_ENTRIES = 1_000;
const MUCH_BYTES = 64 * 1_048_576;
/** etcd's own default. */
const DEFAULT_QUOTA_BYTES = 2 * 1_073_741_824;

const mb = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MB`;

/** Each endpoint: whether it answers and how fast; and the member behind it. */
export const checkMembers: Check = async ({ etcd, timeoutMs }) => {
  const findings: Finding[] = [];
  const statuses: Answer[] = [];
  await Promise.all(
    etcd.endpoints.map(async (endpoint) => {
      const { healthy, latencyMs, error } = await measured(etcd, endpoint, timeoutMs);
      const tookMs = `${latencyMs.toFixed(1)} ms`;
      if (healthy && latencyMs < SLOW_MS) findings.push(ok("endpoint", `${endpoint} answered in ${tookMs}`));
      else if (healthy) findings.push(warn("endpoint", `${endpoint} answered in ${tookMs}`, slow));
      else findings.push(await judgeSilence(endpoint, error?.message ?? "no answer"));
      const status = await etcd.maintenance.status({ endpoint, timeoutMs }).catch(() => undefined);
      if (status) statuses.push({ endpoint, status });
    }),
  );
  for (const { endpoint, status } of statuses)
    findings.push(judgeVersion(endpoint, status.version), ...judge(endpoint, status));
  findings.push(...(await silentLeader(etcd, statuses, timeoutMs)));
  const leaders = new Set(statuses.map(({ status }) => status.leaderId).filter((id) => id !== undefined));
  if (leaders.size > 1)
    findings.push(bad("leader", "the members name different leaders", "is the network between them cut?"));
  return findings;
};

/** The first answer has waited for the connection, too: it says nothing of how fast the member is. */
async function measured(etcd: EtcdClient, endpoint: string, timeoutMs: number): Promise<EtcdHealth> {
  const first = await etcd.health({ endpoint, timeoutMs });
  return first.healthy ? etcd.health({ endpoint, timeoutMs }) : first;
}

interface Answer {
  readonly endpoint: string;
  readonly status: EtcdStatus;
}

/** A leader that has just frozen or died is still followed, until the others choose another one. */
async function silentLeader(
  etcd: EtcdClient,
  answers: readonly Answer[],
  timeoutMs: number,
): Promise<readonly Finding[]> {
  if (answers.length === etcd.endpoints.length) return [];
  const leaderId = answers.map(({ status }) => status.leaderId).find((id) => id !== undefined);
  if (leaderId === undefined || answers.some(({ status }) => status.memberId === leaderId)) return [];
  const members = await etcd.cluster.members({ timeoutMs, serializable: true }).catch(() => []);
  const leader = members.find(({ id }) => id === leaderId);
  const hosts = new Set(leader?.clientUrls.map((url) => new URL(url).host));
  if (!etcd.endpoints.some((endpoint) => hosts.has(new URL(endpoint).host))) return [];
  return [
    bad(
      "leader",
      `${leader?.name} is the leader and does not answer`,
      "the others choose another one within seconds; if not, no majority of them is up",
    ),
  ];
}

const slow = "look at the network, at the disk of the leader (wal_fsync_duration_seconds) and at its CPU";

function* judge(endpoint: string, status: EtcdStatus): Generator<Finding> {
  const {
    leaderId,
    memberId,
    isLearner,
    raftIndex,
    raftAppliedIndex,
    dbSizeBytes,
    dbSizeInUseBytes,
    dbSizeQuotaBytes,
  } = status;
  if (leaderId === undefined)
    yield bad("leader", `${endpoint} knows no leader`, "is a majority of the members up and connected?");
  else yield ok("leader", `${endpoint} ${leaderId === memberId ? "leads" : `follows ${leaderId}`}`);
  if (isLearner)
    yield warn("learner", `${endpoint} is a learner`, "it serves no requests of clients: leave it out, or promote it");
  const behind = raftIndex - raftAppliedIndex;
  if (behind > LAGGING_ENTRIES) yield warn("lag", `${endpoint} has ${behind} entries to apply`, slow);
  else yield ok("lag", `${endpoint} has ${behind} entries to apply`);
  const quota = dbSizeQuotaBytes ?? DEFAULT_QUOTA_BYTES;
  const size = `${endpoint} has ${mb(dbSizeBytes)}, ${mb(dbSizeInUseBytes)} of them in use`;
  if (dbSizeBytes > quota * 0.8) {
    yield bad("size", size, `its quota is ${mb(quota)}: compact, defragment, or raise --quota-backend-bytes`);
  } else if (dbSizeBytes > MUCH_BYTES && dbSizeInUseBytes < dbSizeBytes / 2) {
    yield warn("size", size, "defragment it, one member at a time: it answers nothing meanwhile");
  } else yield ok("size", size);
}
