import { randomInt } from "node:crypto";
import type { TestProject } from "vitest/node";
import { findEtcd } from "../../testing/index.ts";

const keptVariables = ["ETCD_BIN", "ETCD_TEST_ENDPOINTS"];

/** Runs once for each project, before the workers start: they inherit its environment. Says what the run depends on. */
export default async function setup({ name, config }: TestProject): Promise<void> {
  // Tests must never touch the cluster that the shell happens to point at.
  for (const name of Object.keys(process.env)) {
    if (/^ETCD_/i.test(name) && !keptVariables.includes(name)) delete process.env[name];
  }
  process.env.TEST_SEED ??= String(randomInt(2 ** 31));
  // The run itself, which has no name, says it for those of its projects that have no etcd of their own.
  if (name !== "" && config.env?.ETCD_BIN === undefined) return;
  const { path, version } = await findEtcd({ ...process.env, ...config.env });
  console.log(`${name && `${name}: `}etcd ${version} (${path}), TEST_SEED=${process.env.TEST_SEED}`);
}
