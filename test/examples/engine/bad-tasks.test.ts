import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import {
  allKeys,
  Confirmation,
  LeaderElection,
  ServiceRegister,
  SubscribeService,
  setDefaultClient,
} from "etcd-recipes";
import { type FakeEtcd, fakeEtcd } from "etcd-recipes/testing";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { dispatch } from "../../../examples/engine/scheduler/dispatcher.ts";
import { Slots } from "../../../examples/engine/scheduler/slots.ts";
import { DetachedLease } from "../../../examples/engine/shared/detached-lease.ts";
import { keys } from "../../../examples/engine/shared/keys.ts";
import { PipelineSignals } from "../../../examples/engine/shared/pipeline-signals.ts";
import { EtcdTasks } from "../../../examples/engine/tasks/etcd-tasks.ts";
import { parseTask } from "../../../examples/engine/tasks/task.ts";
import { until } from "../../support/until.ts";

const quick = { id: "t", pipelineId: "p", project: "proj", durationMs: 0 };

let etcd: FakeEtcd;
let master: Server;

beforeAll(async () => {
  etcd = await fakeEtcd();
  setDefaultClient(etcd.client());
  master = createServer(async (request, response) => {
    const { id } = (await json(request)) as { id: string };
    const isLengthy = id === "lengthy";
    response.end(JSON.stringify(isLengthy ? { state: "failed", reason: "x".repeat(2_000_000) } : { state: "done" }));
  }).listen(0, "127.0.0.1");
  await once(master, "listening");
});
afterEach(() => etcd.client().delete(allKeys()));
afterAll(async () => {
  master.close().closeAllConnections();
  await etcd.close();
});

/** One leader does these, and one more. @returns the dead letters, and the state of each task */
async function led(...values: readonly string[]) {
  const client = etcd.client();
  const log = () => {};
  await using services = new SubscribeService(keys.masters);
  const { port } = master.address() as AddressInfo;
  await using registration = new ServiceRegister(`${keys.masters}m1`, `127.0.0.1:${port}`, 60);
  await registration.ready;
  await using election = new LeaderElection(keys.leader, "s1", { ttlSeconds: 60 });
  await using pipelines = new PipelineSignals(log);
  await using confirmation = new Confirmation(keys.confirmations);
  confirmation.on("warning", log);
  await using source = new EtcdTasks(60, log);
  for (const [index, value] of [...values, JSON.stringify({ ...quick, id: "last" })].entries()) {
    await client.put(`${keys.tasks}/jobs/${index}`, JSON.stringify({ value, attempt: 1, notBefore: 0 }));
  }
  const stopping = new AbortController();
  const leading = election.lead(async (term) => {
    const recordLease = new DetachedLease();
    const limits = { maxFailures: 1, attempts: 1, taskTimeoutMs: 10_000 };
    const slots = new Slots(1);
    const { signal } = stopping;
    await dispatch(source, {
      ...limits,
      ...{ term, services, pipelines, confirmation, recordLease, slots, stopping: signal, log },
    });
  });
  let failure: unknown;
  leading.catch((error) => {
    failure = error;
  });
  await until(async () => failure !== undefined || (await source.size()) === 0);
  stopping.abort();
  expect(failure).toBeUndefined();
  await leading;
  const records = Object.entries(etcd.dump()).filter(([key]) => key.startsWith(keys.progress));
  const states = records.map(([key, value]) => [key.slice(keys.progress.length), JSON.parse(value).state]);
  return { letters: await source.deadLetters(), states: Object.fromEntries(states) };
}

test("a decision that cannot be read makes a dead letter of its task, and ends no leader", async () => {
  await etcd.client().put(`${keys.confirmations}asked/decision`, "garbage");
  const task = JSON.stringify({ ...quick, id: "asked", confirmWithinSeconds: 60 });

  const { letters, states } = await led(task);

  expect(letters).toEqual([{ value: task, reason: expect.stringContaining("decision") }]);
  expect(states).toMatchObject({ asked: "dead", last: "done" });
});

test("a reason that does not fit into etcd is cut, in record and dead letter, and ends no leader", async () => {
  const task = JSON.stringify({ ...quick, id: "lengthy" });

  const { letters, states } = await led(task);

  expect(letters).toEqual([{ value: task, reason: "x".repeat(1_000) }]);
  expect(states).toMatchObject({ lengthy: "dead", last: "done" });
});

test("what would not fit into etcd as a dead letter is cut, and ends no leader", async () => {
  const values = ['"'.repeat(390_000), JSON.stringify({ ...quick, ["x".repeat(700_000)]: "y".repeat(700_000) })];

  const { letters } = await led(...values);

  const cut = letters.filter(({ value }) => value.length === 100_000).map(({ reason }) => reason.slice(0, 12));
  expect(cut.sort()).toEqual(["a task has n", "not JSON"]);
});

test("a task is refused before a leader takes it up: no time to confirm, U+FFFD in a name, a long reason", () => {
  const wrong = {
    confirmWithinSeconds: [0, 1.5, "60", -1],
    id: ["a\ufffd", "a\ud800"],
    pipelineId: ["\ufffd"],
    failsWith: ["x".repeat(1_001)],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      expect(() => parseTask(JSON.stringify({ ...quick, [field]: value })), field).toThrow(
        expect.objectContaining({ name: "MalformedTaskError", message: expect.stringMatching(`^${field} must`) }),
      );
    }
  }
  expect(() => parseTask(JSON.stringify({ ...quick, confirmWithinSeconds: 0 }))).toThrow(
    "confirmWithinSeconds must be a whole number of seconds, from 1 to 86400000",
  );
  expect(parseTask(JSON.stringify({ ...quick, confirmWithinSeconds: 1 }))).toMatchObject({ confirmWithinSeconds: 1 });
});
