import * as client from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startMetrics, startPromClientMetrics } from "../../../doors/metrics/index.ts";
import {
  allMetrics,
  EtcdClient,
  InvalidOptionError,
  LeaderElection,
  Mutex,
  prefix,
  Queue,
  SubscribeService,
} from "../../../recipes/index.ts";
import { type BorrowedEtcd, borrowEtcd } from "../../support/borrow-etcd.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

let etcd: BorrowedEtcd;

beforeAll(async () => {
  etcd = await borrowEtcd();
});
afterAll(() => etcd?.[Symbol.asyncDispose]());

/** By the name and the labels of each sample. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, name = "", labels = "", value = ""] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [line];
      const sorted = labels.match(/\w+="(?:\\.|[^"\\])*"/g) ?? [];
      return [`${name}{${sorted.sort().join(",")}}`, Number(value)];
    }),
  );
}

test("text and prom-client's registry say the same of the same work, under names that carry their units", async () => {
  const registry = new client.Registry();
  using metrics = startMetrics();
  using _ = startPromClientMetrics({ client, registry });
  await using own = new EtcdClient({ endpoints: etcd.endpoints });
  const at = (what: string) => `${etcd.prefix}${what}`;
  const lease = await own.grantLease(1);
  await own.put(at("svc/a"), "10.0.0.1:1", { lease });
  await using services = new SubscribeService(at("svc/"), { client: own });
  await services.ready;
  await services.call(() => "done");
  await using mutex = new Mutex(at("lock"), { client: own });
  await mutex.run(async () => {});
  await using queue = new Queue(at("queue"), { client: own });
  await queue.enqueueMany(["a", "b"]);
  await (await queue.dequeue()).ack();
  const held = await queue.dequeue();
  await outcomeOf(own.put(at("b"), "v", { lease: "7777777777" as never }));
  const margin = () => samplesOf(metrics.text()).get("etcd_recipes_lease_margin_seconds{}") ?? 0;
  await until(() => margin() > 0);
  const plain = samplesOf(metrics.text());
  const registered = samplesOf(await registry.metrics());
  const svc = `prefix="${at("svc/")}"`;
  const [queued, renewed] = [`queue="${at("queue")}"`, "etcd_recipes_leases_held{}"];
  expect(Object.fromEntries(plain)).toMatchObject({
    'etcd_recipes_call_duration_seconds_count{method="LeaseGrant",outcome="ok"}': expect.any(Number),
    'etcd_recipes_call_duration_seconds_count{method="Put",outcome="ETCD_LEASE_NOT_FOUND"}': 1,
    'etcd_recipes_call_duration_seconds_bucket{le="+Inf",method="Put",outcome="ok"}': 1,
    'etcd_recipes_lock_wait_seconds_count{outcome="ok"}': 1,
    [`etcd_recipes_job_duration_seconds_count{outcome="acknowledged",${queued}}`]: 1,
    [`etcd_recipes_jobs_in_hand{${queued}}`]: 1,
    [`etcd_recipes_jobs_enqueued_total{${queued}}`]: 2,
    [`etcd_recipes_service_call_duration_seconds_count{outcome="ok",${svc}}`]: 1,
    [`etcd_recipes_list_size{${svc}}`]: 1,
    [`etcd_recipes_list_stale_seconds{${svc}}`]: 0,
    [`etcd_recipes_relists_total{${svc},reason="first"}`]: 1,
    [renewed]: expect.any(Number),
    "etcd_recipes_admission_waiting{}": 0,
  });
  // What goes on meanwhile is in one of them only.
  const still = ([name]: [string, unknown]) => /put|lock|job|service|list/i.test(name);
  expect([...registered].filter(still).sort()).toEqual([...plain].filter(still).sort());
  await held.ack();
});

test("counters of rare events are there with 0 before the first one, which is an increase then", async () => {
  const registry = new client.Registry();
  using metrics = startMetrics();
  using _ = startPromClientMetrics({ client, registry });
  const read = async () => [samplesOf(metrics.text()), samplesOf(await registry.metrics())] as const;
  const ended = (how: string) => `etcd_recipes_leases_ended_total{how="${how}"}`;
  for (const samples of await read()) {
    expect([samples.get(ended("lost")), samples.get(ended("expired")), samples.get(ended("revoked"))]).toEqual([
      0, 0, 0,
    ]);
  }
  await using own = new EtcdClient({ endpoints: etcd.endpoints });
  await using mirror = own.mirror(prefix(`${etcd.prefix}rare/`));
  await mirror.ready;
  await using election = new LeaderElection(`${etcd.prefix}leader`, "a", { client: own });
  await election.lead(async () => {});
  const [ofPrefix, ofElection] = [`prefix="${etcd.prefix}rare/"`, `election="${etcd.prefix}leader"`];
  for (const samples of await read()) {
    expect(Object.fromEntries(samples)).toMatchObject({
      [`etcd_recipes_relists_total{${ofPrefix},reason="first"}`]: 1,
      [`etcd_recipes_relists_total{${ofPrefix},reason="compacted"}`]: 0,
      [`etcd_recipes_relists_total{${ofPrefix},reason="history-lost"}`]: 0,
      [`etcd_recipes_resumptions_total{${ofPrefix}}`]: 0,
      [`etcd_recipes_removals_held_total{${ofPrefix}}`]: 0,
      [`etcd_recipes_ejections_total{event="ejected",${ofPrefix}}`]: 0,
      [`etcd_recipes_ejections_total{event="readmitted",${ofPrefix}}`]: 0,
      [`etcd_recipes_elections_total{${ofElection},event="elected"}`]: 1,
      [`etcd_recipes_elections_total{${ofElection},event="lost"}`]: 0,
    });
  }
});

test("the lag of a mirror that has ended is gone, and that of another one stays", async () => {
  using metrics = startMetrics();
  await using own = new EtcdClient({ endpoints: etcd.endpoints });
  const range = prefix(`${etcd.prefix}lag/`);
  const lag = () => samplesOf(metrics.text()).get(`etcd_recipes_watch_lag_revisions{prefix="${etcd.prefix}lag/"}`);
  await using first = own.mirror(range);
  await using second = own.mirror(range);
  await Promise.all([first.ready, second.ready]);
  await own.put(`${etcd.prefix}lag/a`, "v");
  await until(() => lag() !== undefined && first.size === 1 && second.size === 1);
  await first.close();
  expect(lag()).toBeTypeOf("number");
  await second.close();
  expect(lag()).toBeUndefined();
});

test("metrics that end leave the registry, and text stays as it was", async () => {
  const registry = new client.Registry();
  const metrics = startMetrics({ buckets: [0.5, 1] });
  const registered = startPromClientMetrics({ client, registry });
  expect((await registry.getMetricsAsJSON()).length).toBe(allMetrics.length);
  // Without a lease there is no margin: 0 s would be an alarm.
  expect(await registry.metrics()).not.toMatch(/^etcd_recipes_lease_margin_seconds /m);
  expect(() => startPromClientMetrics({ client, registry })).toThrow(/registry has etcd_recipes_.* already/);
  metrics.close();
  registered.close();
  registered.close();
  const before = metrics.text();
  await using own = new EtcdClient({ endpoints: etcd.endpoints });
  await own.get("a");
  expect(metrics.text()).toBe(before);
  expect(await registry.getMetricsAsJSON()).toEqual([]);
});

test("labels stay few, whatever is asked, and what is in them is escaped", async () => {
  using metrics = startMetrics();
  await using own = new EtcdClient({ endpoints: etcd.endpoints });
  for (let number = 0; number < 120; number++) {
    await using mirror = own.mirror(prefix(`${etcd.prefix}"\\\n${number}/`));
    await mirror.ready;
  }
  const all = [...samplesOf(metrics.text())].filter(([name]) => name.startsWith("etcd_recipes_relists_total"));
  // For each prefix one of each reason.
  expect(all.length).toBe(303);
  const relists = all.filter(([name]) => name.includes('reason="first"'));
  expect(relists.length).toBe(101);
  expect(relists.at(-1)).toEqual(['etcd_recipes_relists_total{prefix="other",reason="first"}', 20]);
  expect(relists[0]?.[0]).toContain('\\"\\\\\\n0/');
});

test("what is wrong with an option is named, and what to install", () => {
  const messageOf = (call: () => unknown) => {
    try {
      call();
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidOptionError);
      return (error as Error).message;
    }
    return undefined;
  };
  expect([
    messageOf(() => startMetrics({ buckets: [2, 1] })),
    messageOf(() => startMetrics({ bucket: [1] } as never)),
    messageOf(() => startMetrics(7 as never)),
    messageOf(() => startPromClientMetrics({} as never)),
    messageOf(() => startPromClientMetrics({ client, registry: "default" as never })),
  ]).toEqual([
    "startMetrics: buckets must be seconds above 0, from small to large",
    "startMetrics: bucket is no option; there are buckets",
    "startMetrics: options must be an object, not number",
    "startPromClientMetrics: client must be the module prom-client, not undefined: " +
      'npm install prom-client, and hand its module in: import * as client from "prom-client"',
    "startPromClientMetrics: registry must be a registry of prom-client, not string",
  ]);
});
