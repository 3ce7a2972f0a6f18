import { afterAll, beforeAll, expect, test } from "vitest";
import { takePort } from "../../../testing/free-ports.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { startDeafServer } from "../../support/deaf-server.ts";
import { startSilentServer } from "../../support/silent-server.ts";
import { spawnProgram } from "../../support/spawn-program.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 21: whoever holds nothing any more must not be kept alive. Child processes on the built package.

let cluster: EtcdCluster;
let endpoint: string;

beforeAll(async () => {
  cluster = await startEtcd();
  endpoint = cluster.member(0).endpoint;
});
afterAll(() => cluster.close());

test.each([
  ["a program that reads and forgets its client", "get-then-idle.mjs", ["ran"]],
  ["a program whose watch and lease are over", "after-revoke.mjs", ["program/leased", "revoked"]],
])("%s ends by itself", async (_, name, lines) => {
  await using program = spawnProgram(name, [endpoint]);
  await until(() => program.exitCode !== undefined, { message: () => program.complaints });
  expect(program).toMatchObject({ lines, exitCode: 0, complaints: "" });
});

test("a program that uses the shared client ends by itself", async () => {
  await using program = spawnProgram("default-client.mjs", [], { ETCD_ENDPOINTS: endpoint });
  await until(() => program.exitCode !== undefined, { message: () => program.complaints });
  expect(program).toMatchObject({ lines: ["true", "ran"], exitCode: 0, complaints: "" });
});

test("a program that found nobody ends by itself: nothing listening, a silent listener, a host that drops packets", async () => {
  await using silent = await startSilentServer();
  await using deaf = await startDeafServer();
  for (const where of [`http://127.0.0.1:${await takePort()}`, silent.endpoint, deaf.endpoint]) {
    await using program = spawnProgram("unreachable.mjs", [where]);
    await until(() => program.exitCode !== undefined, { message: `${where} ${program.complaints}` });
    expect(program).toMatchObject({ lines: ["ETCD_UNAVAILABLE"], exitCode: 0, complaints: "" });
  }
});

test("close() takes 2 s at most while etcd is frozen, and the program ends", async () => {
  await using program = spawnProgram("closes-while-frozen.mjs", [endpoint]);
  await until(() => program.lines.includes("ready"));
  await cluster.member(0).pause();
  program.signal("SIGUSR2");
  const before = performance.now();
  await until(() => program.exitCode !== undefined, { message: () => program.lines.join() });
  expect(performance.now() - before).toBeLessThan(3_500);
  expect(program).toMatchObject({ lines: ["ready", "closed"], exitCode: 0, complaints: "" });
  await cluster.member(0).resume();
});

test("a process that was stopped for twice the TTL of its lease sees the loss in its first continuation", async () => {
  await using program = spawnProgram("stopped-holder.mjs", [endpoint, "2"]);
  await until(() => program.lines.includes("holding"), { message: () => program.complaints });
  program.signal("SIGSTOP");
  const end = performance.now() + 4_000;
  await until(() => performance.now() > end);
  program.signal("SIGCONT");
  await until(() => program.exitCode !== undefined, { message: () => program.complaints });
  expect(JSON.parse(program.lines[1] ?? "")).toEqual({ aborted: true, remainingMs: 0 });
  expect(program.lines[2]).toBe("ETCD_LEASE_LOST");
  expect(program.exitCode).toBe(0);
});
