import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setDefaultClient } from "etcd-recipes";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Caches } from "../../../examples/engine/master/caches.ts";
import { TaskRunner } from "../../../examples/engine/master/task-runner.ts";
import { PipelineSignals } from "../../../examples/engine/shared/pipeline-signals.ts";
import { deferred } from "../../../src/internal/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

/** How the log of what was done is written. */
const append = vi.hoisted(() => vi.fn<(...written: unknown[]) => Promise<void>>());
vi.mock("node:fs/promises", async (original) => ({ ...(await original<object>()), appendFile: append }));

let cluster: EtcdCluster;
let folder: string;

beforeAll(async () => {
  cluster = await startEtcd();
  setDefaultClient({ endpoints: cluster.endpoints });
  folder = await mkdtemp(join(tmpdir(), "etcd-recipes-runner-"));
});
afterAll(async () => {
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
});

test("a task whose caller left while its effect was written is not done again", async () => {
  await using pipelines = new PipelineSignals(() => {});
  await pipelines.ready;
  const caches = { use: async () => ({ folder, isNew: false }) } as unknown as Caches;
  const runner = new TaskRunner({ id: "m1", doneLog: "done.log", caches, pipelines, log: () => {} });
  const written = deferred<void>();
  append.mockImplementation(() => written.promise);
  const task = { id: "t1", pipelineId: "p", project: "proj", durationMs: 1 };
  const leaving = new AbortController();

  const one = runner.run(task, leaving.signal);
  await until(() => append.mock.calls.length > 0);
  leaving.abort(new Error("gone"));
  const two = runner.run(task, new AbortController().signal);
  written.resolve();

  expect(await one).toEqual({ state: "done", by: "m1" });
  expect(await two).toEqual({ state: "done", by: "m1", repeated: true });
  expect(append.mock.calls).toEqual([["done.log", "t1\n"]]);
  expect(runner.counts).toMatchObject({ done: 1, repeated: 1, twice: 0 });
});
