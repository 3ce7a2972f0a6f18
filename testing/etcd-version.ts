import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The oldest etcd that is chosen by itself. An older one has to be named by `ETCD_BIN` or be the only one there. */
export const oldestPreferredVersion = "3.5.0";

/** Reads the version out of what `etcd --version` prints; undefined when it is something else. */
export function parseEtcdVersion(output: string): string | undefined {
  return /^etcd Version: (\d+\.\d+\.\d+\S*)/m.exec(output)?.[1];
}

/** Asks a binary for its version. Rejects when it cannot be run or is no etcd. */
export async function readEtcdVersion(binary: string): Promise<string> {
  const { stdout } = await run(binary, ["--version"], { timeout: 10_000 });
  const version = parseEtcdVersion(stdout);
  if (version === undefined) throw new Error(`it answers --version by ${JSON.stringify(stdout.slice(0, 200))}`);
  return version;
}

/** Orders versions by their numbers; what follows a "-" is ignored. Negative when `a` is the older one. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  return version.split("-", 1).join("").split(".").map(Number);
}
