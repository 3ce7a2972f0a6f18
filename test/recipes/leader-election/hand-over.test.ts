import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { LeaderElection, Term } from "../../../recipes/index.ts";
import { EtcdClient } from "../../../src/index.ts";
import { onAbort } from "../../../src/internal/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { ElectionLab, recordElection } from "../candidacy/election-lab.ts";

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));

test("after resign() the next one leads: how long that takes is printed", async () => {
  const name = lab.newName();
  const rounds = 40;
  const tookMs: number[] = [];
  let resignedAt = 0;
  // Clients of their own, as on two machines.
  const elections = ["a", "b"].map((candidate) => lab.election(name, candidate, { client: lab.client() }));
  const turns: LeaderElection[] = [];
  const lead = async (election: LeaderElection) => {
    while (turns.length < rounds) {
      await election.lead(async (term) => {
        if (resignedAt > 0) tookMs.push(performance.now() - resignedAt);
        turns.push(election);
        // The other one is in line.
        if (turns.length < rounds) await until(async () => (await lab.line(name)).length === 2);
        resignedAt = performance.now();
        term.resign();
      });
    }
  };
  // What is closed while it campaigns rejects.
  const stop = Promise.allSettled(elections.map((election) => lead(election)));
  await until(() => turns.length >= rounds, { timeoutMs: 30_000 });
  await Promise.all(elections.map((election) => election.close()));
  await stop;
  tookMs.sort((a, b) => a - b);
  const at = (part: number) => tookMs[Math.floor(tookMs.length * part)]?.toFixed(1);
  console.log(`hand-over after resign(): p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, ${tookMs.length} turns`);
  expect(turns.every((election, index) => election !== turns[index + 1])).toBe(true);
});

test("after kill -9 of the leader the next one leads, and not before its lease is gone", async () => {
  const name = lab.newName();
  const ttlSeconds = 3;
  await using leader = runProgram(
    `import { LeaderElection } from "etcd-recipes";
     const election = new LeaderElection(${JSON.stringify(name)}, "dies", { ttlSeconds: ${ttlSeconds} });
     await election.lead(() => { console.log("leads"); return new Promise(() => {}); });`,
    { ETCD_ENDPOINTS: lab.endpoint },
  );
  await until(() => leader.lines.includes("leads"));
  const next = lab.election(name, "next", { ttlSeconds });
  let keysThen: string[] = [];
  const leading = next.lead(async (term) => {
    keysThen = await lab.line(name);
    await aborted(term);
  });
  await until(async () => (await lab.line(name)).length === 2);
  leader.kill();
  await leader.ended;
  const killedAt = performance.now();
  const term = await until(() => next.term, { timeoutMs: 30_000 });
  console.log(`after kill -9, TTL ${ttlSeconds} s: ${Math.round(performance.now() - killedAt)} ms`);
  await until(() => keysThen.length > 0);
  expect(keysThen).toEqual([term.key]);
  await next.resign();
  await leading;
});

test("an outage in which all leases were lost: there is a leader soon after, and no old key is in the way", async () => {
  const ttlSeconds = 4;
  const name = lab.newName();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const candidates = ["a", "b", "c"].map((candidate) => {
    const client = new EtcdClient({ endpoints: proxy.endpoint });
    lab.also(() => client.close());
    const election = lab.election(name, candidate, { client, ttlSeconds });
    const recorder = recordElection(election);
    void election.lead(aborted).catch(() => {});
    return { election, recorder };
  });
  const leads = () => candidates.find(({ election }) => election.term)?.election;
  const first = await until(leads);
  await until(async () => (await lab.line(name)).length === 3);
  const before = await lab.line(name);

  await proxy.down();
  // All know by themselves; etcd has still some of the leases, or all: a restart gives them their whole TTL again.
  await until(() => candidates.every(({ election }) => !election.term), { timeoutMs: 3 * ttlSeconds * 1_000 });
  await until(
    () =>
      candidates.every(({ recorder }) => [...recorder.of<Error>("lost"), ...recorder.of<Error>("warning")].length > 0),
    { timeoutMs: 3 * ttlSeconds * 1_000 },
  );
  await lab.cluster.kill();
  await lab.cluster.restart();
  await proxy.up();
  const healedAt = performance.now();
  await until(leads, { timeoutMs: 2 * ttlSeconds * 1_000 });
  console.log(
    `after an outage, TTL ${ttlSeconds}  s: there is a leader ${Math.round(performance.now() - healedAt)} ms after it`,
  );
  expect(performance.now() - healedAt).toBeLessThan((ttlSeconds + 1.5) * 1_000);
  await until(async () => {
    const line = await lab.line(name);
    return line.length === 3 && line.every((key) => !before.includes(key));
  });
  expect(first).toBeDefined();
  expect(candidates.filter(({ election }) => election.term)).toHaveLength(1);
});

test("waiters follow only the one before them: when the first goes, one of many looks", async () => {
  const name = lab.newName();
  const clients = Array.from({ length: 6 }, () => lab.client());
  const elections = clients.map((client, index) => lab.election(name, `c${index}`, { client }));
  for (const [index, election] of elections.entries()) {
    void election.lead(aborted).catch(() => {});
    await until(async () => (await lab.line(name)).length === index + 1);
  }
  for (const [index, election] of elections.entries()) {
    await until(() => election.term);
    // Its own key, and with each waiter also the one before it.
    await until(
      async () => (await lab.metric("etcd_debugging_mvcc_watcher_total")) === 2 * (elections.length - index) - 1,
    );
    const before = await lab.txns();
    await election.resign();
    const next = elections[index + 1];
    if (!next) break;
    await until(() => next.term);
    await next.proclaim("a round trip later");
    // The next one looked, and wrote.
    expect((await lab.txns()) - before).toBe(2);
  }
});
