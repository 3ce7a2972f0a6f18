import { bad, type Finding, ok, warn } from "./finding.ts";

/** The patch of each release line that has all security fixes (docs/versions.md). */
const fixed: Readonly<Record<string, number>> = { "3.5": 33, "3.6": 14, "3.7": 1 };

/** @param version as a member says it, such as "3.5.16" */
export function judgeVersion(member: string, version: string): Finding {
  const check = "version";
  const found = `${member} runs etcd ${version}`;
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  if (major === 3 && minor === 5 && patch <= 2) {
    return bad(
      check,
      found,
      "3.5.0 to 3.5.2 can lose data when a member crashes: take 3.5.33 or newer, and look at hashKv",
    );
  }
  if (major < 3 || (major === 3 && minor < 4))
    return bad(check, found, "it is older than what this client works with, 3.4");
  if (major === 3 && minor === 4) {
    return warn(check, found, "3.4 gets no fixes any more, and lacks some of 2026: take 3.5.33 or newer");
  }
  const wanted = fixed[`${major}.${minor}`];
  if (wanted === undefined || patch >= wanted) return ok(check, found);
  return warn(check, found, `security fixes of 2026 are missing: take ${major}.${minor}.${wanted} or newer`);
}
