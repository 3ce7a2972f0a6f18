import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, putOp } from "../../recipes/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../testing/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

// What ends a command: the user's signal, and an etcd that stays away for longer than a lease.

let cluster: EtcdCluster;
let etcd: EtcdClient;
let link: FaultProxy;
let cli: Cli;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
  link = await FaultProxy.start(cluster.endpoints[0] as string);
  cli = new Cli(link.endpoint);
  await etcd.put("/stop/jobs/1", "{}");
});
afterAll(async () => {
  await etcd.close();
  await link.close();
  await cluster.close();
});

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.each([
  ["cache ls", "/stop/"],
  ["queue ls", "/stop"],
  ["queue add", "/stop", "a"],
  ["queue dead", "/stop"],
  ["confirm ls", "/stop/"],
  ["confirm approve", "/stop/", "a"],
  ["leader", "/stop"],
  ["cancel", "/stop/", "a"],
  ["drain", "/stop/jobs/1"],
  ["defrag"],
  ["doctor"],
])("%s ends by the first Ctrl-C while etcd is frozen, with the code of the signal", async (name, ...words) => {
  await link.heal();
  const { accepted } = link;
  link.blackHole();
  await using running = cli.start(...name.split(" "), ...words, "--command-timeout", "10m");
  await until(() => link.accepted > accepted);
  running.kill("SIGINT");
  expect(await running.ended).toBe(130);
  expect(running.lines).toEqual([]);
});

test("doctor ends by the first Ctrl-C while a server of TLS says nothing", async () => {
  await link.heal();
  const { accepted } = link;
  link.blackHole();
  const endpoint = `https://127.0.0.1:${link.port}`;
  await using running = cli.start("doctor", "--endpoints", endpoint, "--command-timeout", "10m");
  await until(() => link.accepted > accepted);
  running.kill("SIGINT");
  expect(await running.ended).toBe(130);
});

test("watch --exec starts no command after the signal, however many events came together", async () => {
  const puts = Array.from({ length: 5 }, (_, at) => putOp(`/together/${at}`, ""));
  const { revision } = await etcd.txn({ success: puts });
  const script = 'echo "$ETCD_EVENT_KEY"; kill -INT $PPID; sleep 3';
  const direct = new Cli(cluster.endpoints.join(","));
  await using watching = direct.start("watch", "/together/", "--revision", String(revision), "--exec", script);
  expect(await watching.ended).toBe(130);
  expect(watching.lines).toEqual(["/together/0"]);
});

test("lock whose command obeys SIGTERM has the code of a lost lock when etcd stays away", async () => {
  await link.heal();
  const command = ["sh", "-c", 'echo "$ETCD_LOCK_TOKEN"; exec sleep 1000'];
  await using running = cli.start("lock", "/lock-away", "--ttl", "3s", "--", ...command);
  await running.firstLine;
  link.blackHole();
  expect(await running.ended).toBe(75);
});

test("lock whose command the guard ended while it was frozen has the code of a lost lock, with time left on the lease", async () => {
  const direct = new Cli(cluster.endpoints.join(","));
  const command = ["sh", "-c", "echo $$; exec sleep 1000"];
  await using running = direct.start("lock", "/frozen", "--ttl", "10s", "--grace", "4900ms", "--", ...command);
  const pid = Number(await running.firstLine);
  running.kill("SIGSTOP");
  await until(() => !lives(pid));
  running.kill("SIGCONT");
  expect(await running.ended).toBe(75);
});

test("a command that ignores SIGTERM is killed in time when its frozen lock is killed meanwhile", async () => {
  const direct = new Cli(cluster.endpoints.join(","));
  const command = ["sh", "-c", "trap 'echo term' TERM; echo $$; while true; do sleep 0.1; done"];
  await using running = direct.start("lock", "/killed", "--ttl", "10s", "--grace", "4900ms", "--", ...command);
  const pid = Number(await running.firstLine);
  running.kill("SIGSTOP");
  await until(() => running.lines.includes("term"));
  running.kill("SIGKILL");
  await until(() => !lives(pid));
});

test("elect whose command obeys SIGTERM campaigns again when etcd was away, and leads again", async () => {
  await link.heal();
  const command = ["sh", "-c", 'echo "$ETCD_TERM_TOKEN"; exec sleep 1000'];
  await using running = cli.start("elect", "/elect-away", "--ttl", "3s", "--", ...command);
  const token = Number(await running.firstLine);
  link.blackHole();
  await until(() => running.errors.includes("the term of /elect-away is over"));
  await link.heal();
  await until(() => running.lines.length === 2 || running.end !== undefined);
  expect(Number(running.lines[1])).toBeGreaterThan(token);
  running.kill("SIGTERM");
  expect(await running.ended).toBe(143);
});
