import { Confirmation, LeaderElection, SubscribeService, setDefaultClient } from "etcd-recipes";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Slots } from "../../../examples/engine/scheduler/slots.ts";
import { runTask } from "../../../examples/engine/scheduler/task-run.ts";
import { DetachedLease } from "../../../examples/engine/shared/detached-lease.ts";
import { PipelineSignals } from "../../../examples/engine/shared/pipeline-signals.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;

beforeAll(async () => {
  // A leader whose role was forgotten when that of the masters was made.
  const permissions = ["/leader/", "/publictest/progress/", "/pipeline/"].map((prefix) => ({ readwrite: { prefix } }));
  cluster = await startEtcd({ auth: { users: { scheduler: { password: "s", permissions } } } });
  setDefaultClient({ endpoints: cluster.endpoints, auth: { username: "scheduler", password: "s" } });
});
afterAll(() => cluster.close());

test("a leader that may not see the masters gives up, and makes no dead letters of the tasks", async () => {
  await using services = new SubscribeService("/publictest/pipeline/");
  await until(() => services.status === "failed");
  await using election = new LeaderElection("/leader", "s1", { ttlSeconds: 5 });
  await using pipelines = new PipelineSignals(() => {});
  await using confirmation = new Confirmation("/pipeline/confirm/");
  const settled: string[] = [];
  const { signal } = new AbortController();

  const led = election.lead(async (term) => {
    const slots = new Slots(1);
    await runTask(
      {
        id: "1",
        value: JSON.stringify({ id: "t", pipelineId: "p", project: "proj", durationMs: 0 }),
        signal,
        ack: async () => void settled.push("acknowledged"),
        deadLetter: async (reason) => void settled.push(`dead: ${reason}`),
      },
      await slots.take(signal),
      {
        term,
        slots,
        services,
        pipelines,
        confirmation,
        recordLease: new DetachedLease(),
        maxFailures: 1,
        attempts: 1,
        taskTimeoutMs: 10_000,
        stopping: signal,
        log: () => {},
      },
    );
  });

  await expect(led).rejects.toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  expect(settled).toEqual([]);
});
