import { once } from "node:events";
import { expect, test } from "vitest";
import { EtcdClient, prefix } from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { until } from "../support/until.ts";
import { runExample } from "./run-example.ts";

const pipeline = prefix("/publictest/pipeline/");
const pointTo = ({ endpoints }: EtcdCluster) => ({ ETCD_ENDPOINTS: endpoints.join() });

test.concurrent("the demo ends by itself in less than a minute, and no request is lost", async () => {
  using demo = runExample("demo/main");

  expect(await demo.ended, demo.output).toEqual({ code: 0, signal: null });

  expect(demo.output).toMatch(/^summary: sent = (\d+), answered = \1, retried = \d+, lost = 0$/m);
  expect(demo.output).toMatch(/Act 5 of 5: member m\d of etcd comes back/);
  expect(demo.output).not.toContain("\x1b");
});

test.concurrent("--forever deregisters every master at Ctrl-C and exits with 0", async () => {
  await using cluster = await startEtcd();
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  using demo = runExample("demo/main", { args: ["--forever"], env: pointTo(cluster) });
  await until(async () => (await client.range(pipeline)).count === 3, { timeoutMs: 20_000 });

  demo.process.kill("SIGINT");

  expect(await demo.ended, demo.output).toEqual({ code: 0, signal: null });
  // Not waited for: with their leases the keys would go anyway.
  expect((await client.range(pipeline)).kvs).toEqual([]);
  expect(demo.output).toMatch(/^summary: .* lost = 0$/m);
});

test.concurrent("the demo sends no request to services that are not its own", async () => {
  await using cluster = await startEtcd();
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  await client.put("/publictest/pipeline/real", "192.0.2.1:80");

  using demo = runExample("demo/main", { env: pointTo(cluster) });

  expect(await demo.ended).toEqual({ code: 1, signal: null });
  expect(demo.output).toMatch(/^demo: there are services under \/publictest\/pipeline\/ .*: real\./m);
});

test.concurrent("a master does not outlive the demo that started it", async () => {
  await using cluster = await startEtcd();
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  using master = runExample("demo/master", { args: ["master-1"], env: pointTo(cluster) });
  await until(() => client.get("/publictest/pipeline/master-1"));

  // What the master sees when the demo dies, by whatever signal.
  master.process.disconnect();

  // Node tells no "close" after a disconnect.
  expect(await once(master.process, "exit")).toEqual([1, null]);
});

test.concurrent("an unknown option is named", async () => {
  using demo = runExample("demo/main", { args: ["--for-ever"] });

  expect(await demo.ended).toEqual({ code: 2, signal: null });
  expect(demo.output).toContain("Unknown option '--for-ever'");
});
