import { randomInt } from "node:crypto";
import { findEtcd } from "../../testing/index.ts";

const keptVariables = ["ETCD_BIN", "ETCD_TEST_ENDPOINTS"];

/** Runs once, before the workers start: they inherit its environment. Says what the run depends on. */
export default async function setup(): Promise<void> {
  // Tests must never touch the cluster that the shell happens to point at.
  for (const name of Object.keys(process.env)) {
    if (/^ETCD_/i.test(name) && !keptVariables.includes(name)) delete process.env[name];
  }
  process.env.TEST_SEED ??= String(randomInt(2 ** 31));
  const { path, version } = await findEtcd();
  console.log(`etcd ${version} (${path}), TEST_SEED=${process.env.TEST_SEED}`);
}
