import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Cancellation, ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
import { until } from "../../support/until.ts";
import { EngineLab, startLimitMs } from "./engine-lab.ts";

const quick = { pipelineId: "p", project: "proj", durationMs: 20 };

let lab: EngineLab;

beforeAll(async () => {
  lab = await EngineLab.start();
});
afterEach(() => lab.killAll());
afterAll(() => lab[Symbol.asyncDispose]());

async function addressOf(id: string): Promise<string> {
  const master = lab.programs.find((program) => program.id === id);
  return until(() => master?.logged("registered")[0]?.address as string | undefined, { timeoutMs: startLimitMs });
}

function run(address: string, task: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`http://${address}/run`, { method: "POST", body: JSON.stringify(task), ...(signal && { signal }) });
}

test("SIGTERM: it takes nothing new, finishes what it has, leaves the list and exits with 0", async () => {
  const master = lab.master("m1", "--zone", "b", "--weight", "3");
  const address = await addressOf("m1");
  await using services = new SubscribeService<{ zone: string }>("/publictest/pipeline/", { client: lab.etcd });
  const [listed] = await services.until((list) => list.length === 1);
  expect(listed).toMatchObject({ id: "m1", address, weight: 3, metadata: { zone: "b" }, draining: false });
  const answer = run(address, { ...quick, id: "t1", durationMs: 2_000 });
  await until(() => master.logged("task-started").length);

  master.signal("SIGTERM");

  await services.until((list) => list[0]?.draining === true, { timeoutMs: 10_000 });
  expect((await run(address, { ...quick, id: "b" })).status).toBe(503);
  expect((await fetch(`http://${address}/health`)).status).toBe(503);
  expect(await (await answer).json()).toEqual({ state: "done", by: "m1" });
  expect(await master.ended).toEqual({ code: 0, signal: null });
  // Not waited for: with its lease the key would go anyway.
  expect(await lab.etcd.get("/publictest/pipeline/m1")).toBeUndefined();
  expect((await lab.effects()).get("t1")).toBe(1);
});

test("a task is done once for its id: a call meanwhile waits for it, a later one gets the result, on any master", async () => {
  const first = lab.master("m1");
  lab.master("m2");
  const addresses = await Promise.all([addressOf("m1"), addressOf("m2")]);
  const task = { ...quick, id: "t2", durationMs: 500 };

  const leaving = new AbortController();
  const one = run(addresses[0] as string, task, leaving.signal).catch(() => "gone");
  await until(() => first.logged("task-started").length);
  const two = run(addresses[0] as string, task);
  // It goes on as long as one of them waits.
  await until(async () => (await stats(addresses[0] as string)).callers === 2);
  leaving.abort();

  expect(await one).toBe("gone");
  expect(await (await two).json()).toEqual({ state: "done", by: "m1" });
  expect(await (await run(addresses[1] as string, task)).json()).toEqual({ state: "done", by: "m2", repeated: true });
  expect((await lab.effects()).get("t2")).toBe(1);
  expect(await stats(addresses[0] as string)).toMatchObject({ id: "m1", running: [], done: 1, twice: 0, stopped: 0 });
  expect(first.logged("task-started")).toHaveLength(1);
});

test("it registers an address that schedulers can call, whatever it serves on", async () => {
  lab.master("m1", "--host", "::1");
  lab.master("m2", "--host", "0.0.0.0", "--address", "127.0.0.1");
  lab.master("m3", "--host", "localhost");

  expect(await addressOf("m1")).toMatch(/^\[::1\]:\d+$/);
  expect(await addressOf("m2")).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(await addressOf("m3")).toMatch(/^localhost:\d+$/);
  for (const id of ["m1", "m2", "m3"]) expect(await stats(await addressOf(id))).toMatchObject({ id });
});

test("on all interfaces it must be given the address by which schedulers reach it", async () => {
  const master = lab.master("m1", "--host", "0.0.0.0");

  // Without it, it would serve on.
  await until(() => master.hasEnded || master.logged("registered").length, { timeoutMs: startLimitMs });
  expect(master.logged("registered")).toEqual([]);
  expect(await master.ended).toEqual({ code: 2, signal: null });
  expect(master.complaints).toContain("must say by which address others reach the app");
});

test("a task that no call waits for any more is stopped", async () => {
  const master = lab.master("m1");
  const leaving = new AbortController();
  const asked = run(await addressOf("m1"), { ...quick, id: "t3", durationMs: 3_600_000 }, leaving.signal);
  await until(() => master.logged("task-started").length);

  leaving.abort();

  await expect(asked).rejects.toThrow();
  await until(() => master.logged("task-stopped", "t3").length);
  expect((await lab.effects()).has("t3")).toBe(false);
});

test("a task whose pipeline is cancelled is stopped, and its caller gets that answer; also when that came before", async () => {
  const master = lab.master("m1");
  const address = await addressOf("m1");
  const asked = run(address, { ...quick, pipelineId: "cancelled", id: "stopped", durationMs: 3_600_000 });
  await until(() => master.logged("task-started").length);
  await using cancellation = new Cancellation("/pipeline/cancel/", { client: lab.etcd });

  await cancellation.cancel("cancelled", "superseded");

  const answer = { state: "cancelled", reason: expect.stringContaining("superseded") };
  expect(await (await asked).json()).toEqual(answer);
  const late = await run(address, { ...quick, pipelineId: "cancelled", id: "late" });
  expect(await late.json()).toEqual(answer);
  expect([...(await lab.effects()).keys()]).not.toContain("late");
});

test("what is no task is refused, with the reason", async () => {
  lab.master("m1");
  const response = await run(await addressOf("m1"), { ...quick, id: "t4", project: "../etc" });
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ reason: "project must be a folder's name" });
});

test("the cache of a project that is not built any more is deleted, on every master; one in use stays", async () => {
  for (const id of ["m1", "m2"]) lab.master(id, "--cache-ttl", "2");
  const addresses = await Promise.all([addressOf("m1"), addressOf("m2")]);
  const cache = (master: string, project: string) => join(lab.dirOf(master), "caches", project);
  let count = 0;
  const build = async (project: string) => {
    for (const address of addresses) await run(address, { ...quick, project, id: `task-${++count}`, durationMs: 0 });
  };
  await build("old");
  expect(existsSync(cache("m1", "old")) && existsSync(cache("m2", "old"))).toBe(true);

  await until(
    async () => {
      await build("used");
      return !existsSync(cache("m1", "old")) && !existsSync(cache("m2", "old"));
    },
    { message: () => lab.story },
  );

  expect(existsSync(cache("m1", "used")) && existsSync(cache("m2", "used"))).toBe(true);
});

test("a master whose registration was taken over logs it, and serves on", async () => {
  const master = lab.master("m1");
  const address = await addressOf("m1");
  await using rival = new ServiceRegister("/publictest/pipeline/m1", "192.0.2.1:1", 2, { client: lab.etcd });
  await rival.ready;

  await until(() => master.logged("lost").length, { message: () => lab.story });

  expect((await fetch(`http://${address}/health`)).status).toBe(200);
});

async function stats(address: string): Promise<{ callers: number }> {
  return (await fetch(`http://${address}/stats`)).json() as Promise<{ callers: number }>;
}
