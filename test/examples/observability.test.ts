import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { startMetrics } from "../../doors/metrics/index.ts";
import { startEtcd } from "../../testing/index.ts";
import { canStartPrometheus, RunningPrometheus } from "../support/prometheus.ts";
import { until } from "../support/until.ts";
import { runExample } from "./run-example.ts";

const read = (name: string) => readFileSync(new URL(`../../examples/observability/${name}`, import.meta.url), "utf8");
const panels: { title: string; targets: { expr: string }[] }[] = JSON.parse(read("dashboard.json")).panels;
const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

test("the dashboard asks for metrics that there are, and for each of them", () => {
  using metrics = startMetrics();
  const names = [...metrics.text().matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
  const asked = expressions.flatMap((expr) => expr.match(/etcd_recipes_\w+/g) ?? []);
  const base = asked.map((name) => name.replace(/_(bucket|count|sum)$/, ""));
  expect([...new Set(base)].sort()).toEqual(names.sort());
});

test("the example goes on after an outage in which its jobs and calls failed", async () => {
  await using cluster = await startEtcd();
  using example = runExample("observability/main", { env: { ETCD_ENDPOINTS: cluster.endpoints.join(), PORT: "0" } });
  const ended = example.ended.then(() => expect.fail(example.output));
  // At the end it is to end.
  ended.catch(() => {});
  const options = { timeoutMs: 40_000, message: () => example.output };
  const whileItRuns = <T>(condition: () => T | Promise<T>) => Promise.race([until(condition, options), ended]);
  const url = await whileItRuns(() => /http:\S+\/metrics/.exec(example.output)?.[0]);
  const acknowledged = async () => {
    const text = await (await fetch(url)).text();
    return Number(/job_duration_seconds_count\{queue="[^"]+",outcome="acknowledged"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  await whileItRuns(async () => (await acknowledged()) > 0);
  await cluster.kill();
  await whileItRuns(() => /^produce: /m.test(example.output));
  const before = await acknowledged();
  await cluster.restart();
  await whileItRuns(async () => (await acknowledged()) > before);
  example.process.kill("SIGTERM");
  expect(await example.ended, example.output).toEqual({ code: 0, signal: null });
});

test.runIf(canStartPrometheus)("a Prometheus scrapes the example, and answers what the dashboard asks", async () => {
  await using cluster = await startEtcd();
  using example = runExample("observability/main", { env: { ETCD_ENDPOINTS: cluster.endpoints.join(), PORT: "0" } });
  const url = await until(() => /http:\S+\/metrics/.exec(example.output)?.[0], { message: () => example.output });
  const { host } = new URL(url);
  const config = read("prometheus.yml")
    .replace("127.0.0.1:9464", host)
    .replace("scrape_interval: 5s", "scrape_interval: 500ms");
  expect(config).toContain(host);
  await using prometheus = await RunningPrometheus.start(config);
  const ask = (expression: string) => prometheus.query(expression.replaceAll("$__rate_interval", "10s"));
  // Two scrapes make a rate.
  const jobs = 'rate(etcd_recipes_job_duration_seconds_count{queue="/observed/jobs",outcome="acknowledged"}[10s]) > 0';
  await until(async () => (await ask(jobs)).length > 0, { timeoutMs: 30_000 });
  const margin = await until(async () => (await ask("etcd_recipes_lease_margin_seconds"))[0], { timeoutMs: 30_000 });
  expect(Number(margin.value[1])).toBeGreaterThan(0);
  expect(await ask('etcd_recipes_list_size{prefix="/observed/services/"}')).toMatchObject([
    { value: [expect.any(Number), "1"] },
  ]);
  expect(await ask('up{job="observed"}')).toMatchObject([
    { metric: { instance: host }, value: [expect.any(Number), "1"] },
  ]);
  // Nothing went wrong, so nothing is known of some of them: what counts is that each is a query.
  const answers = await Promise.all(expressions.map(ask));
  expect(answers.filter(({ length }) => length > 0).length).toBeGreaterThan(expressions.length / 2);
  example.process.kill("SIGTERM");
  expect(await example.ended, example.output).toEqual({ code: 0, signal: null });
});
