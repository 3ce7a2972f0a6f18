import { bad, type Check, type Finding, ok, warn } from "./finding.ts";

/** Alarms, which stop writes. */
export const checkAlarms: Check = async ({ etcd, timeoutMs }) => {
  const alarms = await etcd.maintenance.alarms({ timeoutMs });
  if (alarms.length === 0) return [ok("alarms", "none")];
  return alarms.map(({ alarm, memberId }) =>
    alarm === "nospace"
      ? bad(
          "alarms",
          `NOSPACE of member ${memberId}: etcd takes no writes`,
          "compact, defragment each member, then disarm the alarm",
        )
      : bad(
          "alarms",
          `CORRUPT of member ${memberId}: the members disagree`,
          "stop writing, compare hashKv, replace the member that differs",
        ),
  );
};

/** The members beside the endpoints that the client has. */
export const checkMemberList: Check = async ({ etcd, timeoutMs }) => {
  const members = await etcd.cluster.members({ timeoutMs });
  const findings: Finding[] = [];
  // One host can have several names; an endpoint that does not answer has nothing but its name.
  const answering = await Promise.all(
    etcd.endpoints.map((endpoint) => etcd.maintenance.status({ endpoint, timeoutMs }).catch(() => undefined)),
  );
  const reached = new Set(answering.map((status) => status?.memberId));
  const known = new Set(etcd.endpoints.map((endpoint) => new URL(endpoint).host));
  for (const { id, name, clientUrls, isLearner } of members) {
    if (name === "") {
      findings.push(
        warn(
          "members",
          `member ${id} was added and has never started`,
          "start it, or remove it: it counts for the majority",
        ),
      );
    } else if (!isLearner && !reached.has(id) && !clientUrls.some((url) => known.has(new URL(url).host))) {
      findings.push(
        warn(
          "members",
          `${name} is at ${clientUrls.join(", ")}, which is no endpoint`,
          "name it, too, or use followMembers",
        ),
      );
    }
  }
  const voters = members.filter(({ isLearner }) => !isLearner).length;
  if (voters % 2 === 0)
    findings.push(warn("members", `${voters} members vote`, "an odd number stands as many failures with one less"));
  if (findings.length === 0) findings.push(ok("members", `${members.length}, all among the endpoints`));
  return findings;
};
