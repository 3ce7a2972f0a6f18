import { randomInt } from "node:crypto";
import { accessSync, constants, statfsSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { findEtcd } from "../../testing/index.ts";

const keptVariables = ["ETCD_BIN", "ETCD_TEST_ENDPOINTS"];

/** Where Linux keeps files in memory. */
const inMemory = "/dev/shm";
/** For some thirty members at a time: each takes 64 MiB for its WAL at once. */
const neededBytes = 4 * 2 ** 30;

/** Runs once for each project, before the workers start: they inherit its environment. Says what the run depends on. */
export default async function setup({ name, config }: TestProject): Promise<void> {
  // Tests must never touch the cluster that the shell happens to point at.
  for (const name of Object.keys(process.env)) {
    if (/^ETCD_/i.test(name) && !keptVariables.includes(name)) delete process.env[name];
  }
  // Each Node process reads them at its start, for as much CPU again as the start itself; no test needs them.
  delete process.env.NODE_EXTRA_CA_CERTS;
  if (process.env.TMPDIR === undefined && hasRoomInMemory()) process.env.TMPDIR = inMemory;
  process.env.TEST_SEED ??= String(randomInt(2 ** 31));
  // The run itself, which has no name, says it for those of its projects that have no etcd of their own.
  if (name !== "" && config.env?.ETCD_BIN === undefined) return;
  const { path, version } = await findEtcd({ ...process.env, ...config.env });
  console.log(`${name && `${name}: `}etcd ${version} (${path}), TEST_SEED=${process.env.TEST_SEED}`);
}

/**
 * To wait for a disk at each write would be half of the time of a run, for data that no test needs longer than itself.
 */
function hasRoomInMemory(): boolean {
  try {
    accessSync(inMemory, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(inMemory);
    return bavail * bsize >= neededBytes;
  } catch {
    return false;
  }
}
