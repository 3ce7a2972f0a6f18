import { afterAll, beforeAll, expect, test } from "vitest";
import { takePort } from "../../../testing/free-ports.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { startDeafServer } from "../../support/deaf-server.ts";
import { runProgramFile } from "../../support/run-program.ts";
import { startSilentServer } from "../../support/silent-server.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 21: a process that holds nothing any more must not be kept alive. Child processes on the built package.

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
  await using program = runProgramFile(name, [endpoint]);
  await until(() => program.end !== undefined, { message: () => program.errors.join("\n") });
  expect(program).toMatchObject({ lines, end: 0, errors: [] });
});

test("a program that uses the shared client ends by itself", async () => {
  await using program = runProgramFile("default-client.mjs", [], { ETCD_ENDPOINTS: endpoint });
  await until(() => program.end !== undefined, { message: () => program.errors.join("\n") });
  expect(program).toMatchObject({ lines: ["true", "ran"], end: 0, errors: [] });
});

test("a program that found no server ends by itself: nothing listening, a silent listener, a host that drops packets", async () => {
  await using silent = await startSilentServer();
  await using deaf = await startDeafServer();
  for (const where of [`http://127.0.0.1:${await takePort()}`, silent.endpoint, deaf.endpoint]) {
    await using program = runProgramFile("unreachable.mjs", [where]);
    await until(() => program.end !== undefined, { message: `${where} ${program.errors}` });
    expect(program).toMatchObject({ lines: ["ETCD_UNAVAILABLE"], end: 0, errors: [] });
  }
});

test("close() takes 2 s at most while etcd is frozen, and the program ends", async () => {
  await using program = runProgramFile("closes-while-frozen.mjs", [endpoint]);
  await until(() => program.lines.includes("ready"));
  await cluster.member(0).pause();
  program.kill("SIGUSR2");
  const before = performance.now();
  await until(() => program.end !== undefined, { message: () => program.lines.join() });
  expect(performance.now() - before).toBeLessThan(3_500);
  expect(program).toMatchObject({ lines: ["ready", "closed"], end: 0, errors: [] });
  await cluster.member(0).resume();
});

test("a process that was stopped for twice the TTL of its lease sees the loss in its first continuation", async () => {
  await using program = runProgramFile("stopped-holder.mjs", [endpoint, "2"]);
  await until(() => program.lines.includes("holding"), { message: () => program.errors.join("\n") });
  program.kill("SIGSTOP");
  const end = performance.now() + 4_000;
  await until(() => performance.now() > end);
  program.kill("SIGCONT");
  await until(() => program.end !== undefined, { message: () => program.errors.join("\n") });
  expect(JSON.parse(program.lines[1] ?? "")).toEqual({ aborted: true, remainingMs: 0 });
  expect(program.lines[2]).toBe("ETCD_LEASE_LOST");
  expect(program.end).toBe(0);
});
