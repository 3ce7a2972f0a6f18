import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { EtcdClient, prefix } from "../../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { canStartRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { type RunningExample, runExample } from "../run-example.ts";

const masters = prefix("/publictest/pipeline/");
const candidates = prefix("/leader/");
/** Several demos, of six programs each, start at once. */
const startLimitMs = 50_000;
vi.setConfig({ testTimeout: 120_000 });
const pointTo = ({ endpoints }: EtcdCluster) => ({ ETCD_ENDPOINTS: endpoints.join() });

const acts = [
  /Act 1 of \d: three masters register, a scheduler is elected, tasks flow/,
  /Act \d of \d: master-\d is killed by SIGKILL/,
  /Act \d of \d: master-\d is drained by SIGTERM/,
  /Act \d of \d: the leading scheduler is killed by SIGKILL/,
  /Act \d of \d: a pipeline is cancelled while its tasks run/,
  /Act \d of \d: two tasks ask to be confirmed; one is approved, one times out/,
  /Act \d of \d: proj-seldom is not built any more: its cache expires/,
];
const memberAct = /Act \d of 8: the leader of etcd, m\d, is killed by SIGKILL, and comes back/;

/** The tasks of the summary; none of them is lost. */
function counts({ output }: RunningExample): { submitted: number; done: number; cancelled: number } {
  const line = /^summary: submitted (\d+) = done (\d+) \+ cancelled (\d+)\n +lost 0, done twice \d+ \(idem/m;
  const [, submitted, done, cancelled] = (line.exec(output) ?? expect.fail(output)).map(Number);
  return { submitted: submitted ?? 0, done: done ?? 0, cancelled: cancelled ?? 0 };
}

/** Programs of the engine on that etcd which still run. Known on Linux only. */
function survivors(cluster: EtcdCluster): string[] {
  if (!existsSync("/proc/self/environ")) return [];
  const wanted = `ETCD_ENDPOINTS=${cluster.endpoints.join()}`;
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return /examples\/(engine|demo)\//.test(command) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(wanted);
    } catch {
      return false;
    }
  });
}

/** A folder for all that the demo puts into folders for the time being. */
async function ownTemp(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "etcd-recipes-demo-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test.concurrent("the demo plays every act, and every task is done or cancelled", async () => {
  await using temp = await ownTemp();
  using demo = runExample("demo/main", { env: { TMPDIR: temp.path } });

  expect(await demo.ended, demo.output).toEqual({ code: 0, signal: null });

  for (const act of [...acts, memberAct]) expect(demo.output).toMatch(act);
  const { submitted, done, cancelled } = counts(demo);
  expect(done + cancelled).toBe(submitted);
  expect(cancelled).toBeGreaterThan(1);
  expect(demo.output).toMatch(/the keys of the \d masters that left are gone/);
  expect(demo.output).not.toContain("\x1b");
  expect(readdirSync(temp.path)).toEqual([]);
});

test.skipIf(!canStartRedis)(
  "with --redis, on an etcd of somebody else, its members are left alone and no task is lost",
  { concurrent: true },
  async () => {
    await using cluster = await startEtcd();
    const pid = cluster.members[0]?.pid;
    using demo = runExample("demo/main", {
      args: ["--redis", "--plain"],
      env: { ...pointTo(cluster), REDIS_URL: "" },
    });

    expect(await demo.ended, demo.output).toEqual({ code: 0, signal: null });

    for (const act of acts) expect(demo.output).toMatch(act);
    expect(demo.output).not.toMatch(/the leader of etcd/);
    expect(demo.output).toContain("tasks come from a Redis of its own");
    const { submitted, done, cancelled } = counts(demo);
    expect(done + cancelled).toBe(submitted);
    expect(cluster.members[0]?.pid).toBe(pid);
    expect(survivors(cluster)).toEqual([]);
  },
);

test.concurrent.each([{ args: [] }, { args: ["--forever"] }])(
  "Ctrl-C in the middle deregisters every program and leaves nothing behind ($args)",
  async ({ args }) => {
    await using cluster = await startEtcd();
    await using client = new EtcdClient({ endpoints: cluster.endpoints });
    await using temp = await ownTemp();
    using demo = runExample("demo/main", { args, env: { ...pointTo(cluster), TMPDIR: temp.path } });
    await until(() => demo.output.includes(" done  "), { timeoutMs: startLimitMs });
    await until(async () => (await client.range(masters)).count === 3, { timeoutMs: startLimitMs });

    demo.process.kill("SIGINT");

    expect(await demo.ended, demo.output).toEqual({ code: 130, signal: null });
    // Not waited for: with their leases the keys would go anyway.
    expect((await client.range(masters)).kvs).toEqual([]);
    expect((await client.range(candidates)).kvs).toEqual([]);
    expect(demo.output).toMatch(/^summary: submitted .*\n +broken off: open \d+/m);
    expect(survivors(cluster)).toEqual([]);
    expect(readdirSync(temp.path)).toEqual([]);
  },
);

test.concurrent("no program outlives a demo that is killed", async () => {
  await using cluster = await startEtcd();
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  // It cannot clear its own folder any more.
  await using temp = await ownTemp();
  using demo = runExample("demo/main", { env: { ...pointTo(cluster), TMPDIR: temp.path } });
  await until(async () => (await client.range(masters)).count === 3, { timeoutMs: startLimitMs });

  demo.process.kill("SIGKILL");

  await until(() => survivors(cluster).length === 0);
});

test.concurrent("the demo does not join an engine that is not its own", async () => {
  await using cluster = await startEtcd();
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  await client.put("/publictest/pipeline/real", "192.0.2.1:80");

  using demo = runExample("demo/main", { env: pointTo(cluster) });

  expect(await demo.ended).toEqual({ code: 1, signal: null });
  expect(demo.output).toMatch(/^demo: somebody else's engine is there: \/publictest\/pipeline\/real\./m);
});

test.concurrent("without a Redis --redis says how to get one, before anything is started", async () => {
  using demo = runExample("demo/main", {
    args: ["--redis"],
    env: { REDIS_URL: "", PATH: "/nowhere", XDG_CACHE_HOME: "/nowhere" },
  });

  expect(await demo.ended).toEqual({ code: 2, signal: null });
  expect(demo.output).toMatch(/^demo: .*there is no redis-server on PATH/m);
  expect(demo.output).not.toContain("starts a cluster");
});

test.concurrent("--help names every option", async () => {
  using demo = runExample("demo/main", { args: ["--help"] });

  expect(await demo.ended).toEqual({ code: 0, signal: null });
  for (const option of ["--redis", "--forever", "--plain", "ETCD_ENDPOINTS", "REDIS_URL"]) {
    expect(demo.output).toContain(option);
  }
});

test.concurrent("an unknown option is named", async () => {
  using demo = runExample("demo/main", { args: ["--for-ever"] });

  expect(await demo.ended).toEqual({ code: 2, signal: null });
  expect(demo.output).toContain("Unknown option '--for-ever'");
});
