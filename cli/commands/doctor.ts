import { InvalidOptionError } from "../../recipes/index.ts";
import type { Command, Context } from "../command.ts";
import { delimitedPrefix } from "../delimited-prefix.ts";
import { checkAuth } from "../doctor/auth.ts";
import { checkAlarms, checkMemberList } from "../doctor/cluster.ts";
import { bad, type Check, type Finding, type Patient, warn, worstOf } from "../doctor/finding.ts";
import { checkLease } from "../doctor/lease.ts";
import { checkMembers } from "../doctor/members.ts";
import { checkFormats, checkWatch } from "../doctor/round-trips.ts";
import { ProcessWatch } from "../doctor/this-process.ts";
import { checkTls } from "../doctor/tls.ts";
import { exitCode } from "../exit-codes.ts";
import { printable } from "../output.ts";
import { unlessStopped } from "../ready-within.ts";

const checks: Readonly<Record<string, Check>> = {
  endpoint: checkMembers,
  TLS: checkTls,
  alarms: checkAlarms,
  members: checkMemberList,
  authentication: checkAuth,
  lease: checkLease,
  watch: checkWatch,
  formats: checkFormats,
};

const colours = { ok: "green", warn: "yellow", bad: "red" } as const;

export const doctor: Command = {
  name: "doctor",
  arguments: ["[PREFIX]"],
  summary: "what is wrong with etcd, on one screen; exit code 1 where a line is bad",
  options: { "read-only": { type: "boolean", help: "grant no lease and write no key" } },
  showsOutages: true,
  async run(context) {
    const { output, signal } = context;
    const patient = patientOf(context);
    const here = new ProcessWatch();
    const all = Object.entries(checks).map(([name, check]) => settled(name, check, patient));
    const seen = Promise.all(all).then(async (found) => found.flat().concat(await here.findings()));
    const findings = await unlessStopped(seen, signal);
    for (const finding of findings) output.say(finding, lineOf(finding));
    const worst = worstOf(findings);
    return worst === "bad" ? exitCode.failed : undefined;

    function lineOf({ level, check, found, todo }: Finding): string {
      const advice = todo === undefined ? "" : `: ${todo}`;
      return `${output.style(colours[level], level.padEnd(4))}  ${check.padEnd(14)}  ${printable(found + advice)}`;
    }
  },
};

function patientOf({ etcd, timeoutMs, signal, options, words: [given] }: Context): Patient {
  return {
    etcd: etcd(),
    timeoutMs,
    signal,
    prefix: given === undefined ? undefined : delimitedPrefix(given),
    user: (options.user as string | undefined)?.split(":")[0] ?? process.env.ETCD_USERNAME,
    mayWrite: options["read-only"] !== true,
    caFile: (options.cacert as string | undefined) ?? process.env.ETCD_CACERT,
  };
}

/** What a check cannot look at is a finding, too. */
async function settled(name: string, check: Check, patient: Patient): Promise<readonly Finding[]> {
  try {
    return await check(patient);
  } catch (error) {
    if (error instanceof InvalidOptionError) throw error;
    const { message, code } = error as Error & { code?: string };
    if (code === "ETCD_PERMISSION_DENIED")
      return [warn(name, message, "this user may not look; a user with the role root may")];
    return [bad(name, message, "see the lines of the endpoints")];
  }
}
