import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type EtcdClient, ServiceRegister, SubscribeService } from "etcd-recipes";
import { type FakeEtcd, fakeEtcd } from "etcd-recipes/testing";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type CallMasterOptions, callMaster } from "../../../examples/engine/scheduler/call-master.ts";
import { until } from "../../support/until.ts";
import { EngineLab } from "./engine-lab.ts";

const quick = { pipelineId: "p", project: "proj", durationMs: 20 };
const { signal } = new AbortController();

let lab: EngineLab;
let etcd: FakeEtcd;
let client: EtcdClient;
const servers: Server[] = [];

beforeAll(async () => {
  lab = await EngineLab.start();
});
beforeEach(async () => {
  etcd = await fakeEtcd();
  client = etcd.client();
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  await etcd.close();
});
afterAll(() => lab[Symbol.asyncDispose]());

/** A master that does with a request what the test says. */
async function master(id: string, listener: RequestListener): Promise<Server> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new ServiceRegister(`/masters/${id}`, `127.0.0.1:${port}`, 60, { client }).ready;
  return server;
}

async function called(given: Partial<CallMasterOptions> = {}): Promise<unknown> {
  const services = new SubscribeService("/masters/", { client });
  await services.ready;
  const options = { attempts: 3, timeoutMs: 20_000, signal, ...given };
  return callMaster(services, { ...quick, id: "t" }, options).catch((error) => error);
}

test("while no master can be reached, no task becomes a dead letter: all are done when one is back", async () => {
  // Its registration outlives it by far: until it is back its address is called, and refuses.
  const killed = lab.master("m1", "--ttl", "60");
  const scheduler = lab.scheduler("s1", "--max-failures", "2");
  const ids = Array.from({ length: 4 }, (_, index) => `away/${index}`);
  await lab.submit(...ids.slice(0, 2).map((id) => ({ ...quick, id, durationMs: 3_000 })));
  const isBegun = (id: string) => killed.logged("task-started", id).length > 0;
  await until(() => ids.slice(0, 2).every(isBegun), { timeoutMs: 60_000, message: () => lab.story });

  await killed.kill();
  await lab.submit(...ids.slice(2).map((id) => ({ ...quick, id })));

  const isTried = (id: string) => scheduler.logged("task-retrying", id).length > 3;
  const isDead = (id: string) => scheduler.logged("task-dead", id).length > 0;
  await until(() => ids.every((id) => isTried(id) || isDead(id)), { timeoutMs: 60_000, message: () => lab.story });
  expect(ids.filter(isDead)).toEqual([]);
  expect(scheduler.logged("task-retrying", "away/2").at(-1)).toMatchObject({
    failures: 0,
    reason: expect.stringContaining("ECONNREFUSED"),
  });
  lab.master("m1", "--ttl", "60");
  const progress = await lab.settled(ids);
  expect(ids.map((id) => progress.get(id)?.state)).toEqual(ids.map(() => "done"));
  // What the killed one had in hand has failed once.
  expect(ids.map((id) => progress.get(id)?.failures)).toEqual([1, 1, 0, 0]);
  expect(await lab.deadLetters()).toEqual([]);
});

test("a master that drains has not begun the task; one that hangs up may have", async () => {
  const draining = await master("m1", (_, response) => response.writeHead(503).end('{"reason":"it drains"}'));

  expect(await called()).toMatchObject({ name: "NotBegunError", message: "m1 answers 503: it drains" });

  draining.removeAllListeners("request").on("request", (request) => request.socket.destroy());
  expect(await called()).toMatchObject({ name: "Error", code: "ECONNRESET" });
});

test("a task that ends each master that gets it has been begun, though the last attempt was refused", async () => {
  const dying = await master("m1", (request) => {
    dying.close();
    request.socket.destroy();
  });

  expect(await called()).toMatchObject({ name: "Error", code: "ECONNREFUSED" });
});

test("a list without a master is no failure of the task", async () => {
  const services = new SubscribeService("/masters/", { client });
  await services.ready;

  const calling = callMaster(services, { ...quick, id: "t" }, { attempts: 1, timeoutMs: 100, signal });

  await expect(calling).rejects.toMatchObject({ name: "NotBegunError", cause: { code: "ETCD_NO_SERVERS" } });
});

test("what is no matter of masters is not taken for one", async () => {
  expect(await called({ timeoutMs: 2 ** 31 })).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "timeoutMs" });
  const ending = new AbortController();
  const calling = called({ signal: ending.signal });
  ending.abort("enough");
  expect(await calling).toBe("enough");
});
