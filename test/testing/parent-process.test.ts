import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isServing } from "../../testing/gateway.ts";
import { startChild } from "../support/child.ts";
import { until } from "../support/until.ts";

// A program needs JavaScript: these tests use what `npm run build` made, as the users of the package do.
const testing = new URL("../../dist/esm/testing.js", import.meta.url);

let temporary: string;
let parents: ChildProcess[];

beforeEach(async () => {
  if (!existsSync(testing)) throw new Error(`run \`npm run build\` first: there is no ${fileURLToPath(testing)}`);
  temporary = await mkdtemp(join(tmpdir(), "parent-process-"));
  parents = [];
});

afterEach(async () => {
  for (const parent of parents) parent.kill("SIGKILL");
  await rm(temporary, { recursive: true, force: true });
});

interface Started {
  readonly parent: ChildProcess;
  readonly pids: readonly number[];
  readonly endpoints: readonly string[];
}

/** Runs a program that starts a cluster, does `then` and reports it. */
async function startParent(members: number, then: string): Promise<Started> {
  const program = `
    import { startEtcd } from ${JSON.stringify(testing.href)};
    const cluster = await startEtcd({ members: ${members} });
    const pids = cluster.members.map((member) => member.pid);
    ${then}
    console.log(JSON.stringify({ pids, endpoints: cluster.endpoints }));`;
  const { process: parent, firstLine } = startChild(process.execPath, ["--input-type=module", "-e", program], {
    env: { ...process.env, TMPDIR: temporary },
    detached: true,
  });
  parents.push(parent);
  return { parent, ...JSON.parse(await firstLine) };
}

async function untilNothingIsLeft(pids: readonly number[]): Promise<void> {
  await until(() => !pids.some(isAlive), { message: "the etcd processes are gone" });
  await until(async () => (await readdir(temporary)).length === 0, { message: "the folder is removed" });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const waitForever = "setInterval(() => {}, 60_000);";

test("when the parent is killed by SIGKILL, every member ends, a paused one too, and the folder is removed", async () => {
  const { parent, pids } = await startParent(3, `await cluster.member(1).pause(); ${waitForever}`);
  expect(pids.every(isAlive)).toBe(true);
  parent.kill("SIGKILL");
  await untilNothingIsLeft(pids);
});

test("a member that was restarted ends with its parent like the first one", async () => {
  const restart = `await cluster.member(0).restart(); pids[0] = cluster.member(0).pid; ${waitForever}`;
  const { parent, pids } = await startParent(1, restart);
  parent.kill("SIGKILL");
  await untilNothingIsLeft(pids);
});

test("a parent that forgets close can end by itself, and nothing is left", async () => {
  const { parent, pids } = await startParent(1, "");
  if (parent.exitCode === null) await once(parent, "exit");
  expect(parent.exitCode).toBe(0);
  await untilNothingIsLeft(pids);
});

test("what a terminal sends to the parent's process group, such as Ctrl-C, does not reach etcd", async () => {
  const { parent, endpoints } = await startParent(1, waitForever);
  // SIGSTOP rather than SIGINT: it works at once, so that an etcd in the group could not answer any more.
  process.kill(-(parent.pid ?? 0), "SIGSTOP");
  expect(await isServing(endpoints[0] ?? "")).toBe(true);
});

test("close removes the folder", async () => {
  const { pids } = await startParent(1, "await cluster.close();");
  await untilNothingIsLeft(pids);
});
