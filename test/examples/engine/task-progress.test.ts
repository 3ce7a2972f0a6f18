import { defaultClient, LeaderElection, setDefaultClient, type Term } from "etcd-recipes";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TaskProgress } from "../../../examples/engine/scheduler/task-progress.ts";
import { DetachedLease } from "../../../examples/engine/shared/detached-lease.ts";
import { EtcdClient } from "../../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";

const running = { state: "running", pipelineId: "p", failures: 0 } as const;
const done = { state: "done", pipelineId: "p", failures: 0, by: "m1" } as const;

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
  setDefaultClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

const stored = async (id: string) => JSON.parse((await etcd.get(`/publictest/progress/${id}`))?.text ?? "null");

/** While this leads. */
async function leading(work: (term: Term) => Promise<void>): Promise<void> {
  await using election = new LeaderElection("/leader", "s1", { ttlSeconds: 5 });
  const over = new AbortController();
  await expect(
    election.lead(
      async (term) => {
        await work(term);
        over.abort("over");
      },
      { signal: over.signal },
    ),
  ).rejects.toBe("over");
}

test("what a leader writes after its term is refused", async () => {
  await leading(async (term) => {
    const progress = new TaskProgress("a", term, new DetachedLease());
    await progress.read();
    await progress.write(running);

    await etcd.delete(term.key);

    await expect(progress.write(done)).rejects.toMatchObject({ code: "ETCD_FENCED_OUT" });
    expect(await stored("a")).toEqual({ ...running, token: term.token });
  });
});

test("a final state stays: who comes later gets it", async () => {
  await leading(async (term) => {
    const [first, second] = [
      new TaskProgress("b", term, new DetachedLease()),
      new TaskProgress("b", term, new DetachedLease()),
    ];
    await first.read();
    await second.read();
    await first.write(running);

    expect(await second.write(done)).toMatchObject(done);

    expect(await first.write({ ...running, state: "cancelled" })).toMatchObject(done);
    expect(await stored("b")).toEqual({ ...done, token: term.token });
  });
});

test("a record that cannot be read counts as none: it ends no leader, and is put over", async () => {
  await leading(async (term) => {
    for (const bad of ["no JSON", "null", "7", '{"state":"asleep","failures":0}']) {
      const id = `bad ${bad}`;
      await etcd.put(`/publictest/progress/${id}`, bad);
      const progress = new TaskProgress(id, term, new DetachedLease());
      expect(await progress.read()).toBeUndefined();
      await progress.write(running);
      await etcd.put(`/publictest/progress/${id}`, bad);
      await progress.write(done);
      expect(await stored(id)).toEqual({ ...done, token: term.token });
    }
    for (const failures of ['"many"', "-1", "1e300"]) {
      await etcd.put("/publictest/progress/c", `{"state":"running","pipelineId":"p","failures":${failures}}`);
      expect(await new TaskProgress("c", term, new DetachedLease()).read()).toMatchObject(running);
    }
  });
});

test("all who notice that etcd has lost the lease of their records share the next one", async () => {
  const recordLease = new DetachedLease();
  await recordLease.use((lease) => lease.revoke());
  const used = await Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      recordLease.use(async (lease) => {
        await defaultClient().put(`record-${index}`, "", { lease });
        return lease.id;
      }),
    ),
  );
  expect(new Set(used).size).toBe(1);
});
