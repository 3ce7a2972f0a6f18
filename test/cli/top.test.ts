import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, LeaderElection, Mutex, Queue, ServiceRegister } from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { Cli, cliProgram } from "../support/cli.ts";
import { canStartTerminal, Terminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;
let etcd: EtcdClient;
let cli: Cli;
let closing: AsyncDisposable[];

const hostile =
  "/svc/m\u001b[2J\u001b]0;owned\u0007-with-a-name-that-is-much-longer-than-any-column-of-the-terminal-is-wide";
const shown = ["--services", "/svc/", "--election", "/leader", "--lock", "/lock", "--queue", "/q", "--every", "200ms"];

/** When all of it was read. */
const everything = /^m2 .*^\/q +3/ms;

/** Services, a leader with a rival, a lock with a waiter, and a queue. */
beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
  cli = new Cli(cluster.endpoints.join(","));
  const register = (key: string, zone: string, weight: number) =>
    new ServiceRegister(key, `10.0.0.${weight}:80`, 60, { client: etcd, weight, metadata: { zone } });
  const servers = [register("/svc/m1", "eu-1", 1), register("/svc/m2", "eu-2", 2), register(hostile, "eu-3", 3)];
  const elections = ["anna", "berta"].map(
    (name) => new LeaderElection("/leader", name, { client: etcd, ttlSeconds: 60 }),
  );
  const mutex = new Mutex("/lock", { client: etcd, ttlSeconds: 60 });
  const queue = new Queue("/q", { client: etcd });
  closing = [queue, mutex, ...elections, ...servers];
  await Promise.all(servers.map(({ ready }) => ready));
  await servers[1]?.update({ draining: true });
  for (const [at, election] of elections.entries()) {
    election.lead(({ signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve))).catch(() => {});
    await until(async () => (await election.candidates()).length === at + 1);
  }
  await mutex.acquire();
  mutex.acquire().catch(() => {});
  await queue.enqueueMany(["a", "b", "c"]);
  await queue.dequeue();
  // A worker that waits, beside the one that has a job.
  const idle = await etcd.grantLease(60);
  await etcd.put(`/q/waiting/${idle.id}`, "", { lease: idle });
});
afterAll(async () => {
  await Promise.all(closing.map((each) => each[Symbol.asyncDispose]()));
  await etcd.close();
  await cluster.close();
});

test("without a terminal it prints one snapshot: with --json as one object, with --watch again and again", async () => {
  const [snapshot] = await cli.json("top", ...shown);
  expect(snapshot).toMatchObject({
    ageMs: 0,
    sections: [
      {
        type: "services",
        rows: [
          { id: hostile.slice(5), zone: "eu-3", weight: 3, draining: false, olderThanAge: true },
          { id: "m1", address: "10.0.0.1:80", zone: "eu-1", draining: false },
          { id: "m2", draining: true },
        ],
      },
      { type: "election", head: { who: "anna", token: expect.any(Number) }, waiting: ["berta"] },
      { type: "lock", head: { who: expect.stringMatching(/^lease [0-9a-f]+$/) }, waiting: [expect.any(String)] },
      { type: "queue", name: "/q", jobs: 3, dead: 0, workers: 2, idleWorkers: 1 },
    ],
  });
  const { out } = await cli.run("top", ...shown);
  expect(out).toMatch(/^m1 +10\.0\.0\.1:80 +1 +eu-1 +serves +>\d/m);
  // Of 60 s, renewed each 20 s.
  expect(out).toMatch(/^\/leader +anna +\d+ +([45]\ds|1m 0s) +1 +berta$/m);
  expect(out).not.toContain("\u001b");
  await using watching = cli.start("top", "/svc/", "--watch", "--json", "--every", "100ms");
  await until(() => watching.lines.length >= 3);
  watching.kill("SIGINT");
  expect(await watching.ended).toBe(130);
});

test("it needs to know what to show, and fails where etcd does not answer", async () => {
  expect(await cli.run("top")).toMatchObject({ code: 2, err: expect.stringContaining("name what to show") });
  const away = ["--endpoints", "127.0.0.1:1", "--command-timeout", "500ms"];
  expect((await cli.run("top", "/svc/", ...away)).code).toBe(3);
  expect((await cli.run("top", "--queue", "/q", ...away)).code).toBe(3);
});

describe.skipIf(!canStartTerminal)("in a terminal", () => {
  const start = (columns: number, rows: number, env: Readonly<Record<string, string>> = {}) =>
    Terminal.start({ columns, rows, env: { ETCD_ENDPOINTS: cluster.endpoints.join(","), ...env } });
  const command = ["node", cliProgram, "top", ...shown].join(" ");

  test.each([
    [100, 30],
    [80, 24],
  ])("of %i x %i everything is seen, nothing is too wide, and q gives the screen back", async (columns, rows) => {
    await using terminal = await start(columns, rows);
    await terminal.type("echo before");
    await terminal.type(`${command}; echo "ended $?"`);
    const screen = await terminal.shows(everything);
    const text = screen.join("\n");
    expect(screen.length).toBe(rows);
    expect(text).toMatch(/^SERVICES \/svc\/ {2}3, 1 draining$/m);
    expect(text).toMatch(/^m2 +10\.0\.0\.2:80 +2 +eu-2 +draining +>\d+s$/m);
    expect(text).toMatch(/^m\\u\{1b\}\[2J\\u\{1b\}.*… +10\.0\.0\.3:80 +3 +eu-3 +serves/m);
    expect(text).toMatch(/^\/leader +anna +\d+ +\d+s +1 +berta$/m);
    expect(text).toMatch(/^\/lock +lease [0-9a-f…]+ +\d+ +\d+s +1 +lease/m);
    expect(text).toMatch(/^\/q +3 +0 +2 +1$/m);
    expect(screen.at(-1)).toMatch(/^q ends/);
    expect(await terminal.modes()).toEqual({ alternate: true, cursor: false });
    await terminal.key("q");
    const after = await terminal.shows("ended 0");
    expect(after[0]).toBe("> echo before");
    expect(after.join("\n")).not.toContain("SERVICES");
    expect(await terminal.modes()).toEqual({ alternate: false, cursor: true });
  });

  test("it follows changes and the size, says that etcd is away and how old it is, and ends by Ctrl-C", async () => {
    await using terminal = await start(100, 30);
    await terminal.type(`${command}; stty -a | grep -o '.icanon'; echo "ended $?"`);
    await terminal.shows(everything);
    expect((await terminal.screen({ raw: true })).join("\n")).toContain("\u001b[33mm2");
    await etcd.put("/svc/m3", "10.0.0.9:80");
    await terminal.shows(/^m3 +10\.0\.0\.9:80 +1 +serves +\ds$/m);
    await terminal.resize(60, 16);
    const small = await terminal.shows(/1 to \d of 4/);
    expect(small.length).toBe(16);
    expect(small.join("\n")).toMatch(/^\/q +3/m);
    await terminal.key("Down");
    await terminal.shows(/2 to \d of 4/);
    await cluster.member(0).kill();
    await terminal.shows(/etcd is away; this is \ds old: /);
    await cluster.member(0).restart();
    await terminal.shows(/^(?!.*etcd is away)/s);
    await terminal.key("C-c");
    await terminal.shows(/ icanon\nended 0/);
    expect(await terminal.modes()).toEqual({ alternate: false, cursor: true });
  });

  test("with NO_COLOR nothing is coloured, and SIGTERM gives the screen back", async () => {
    await using terminal = await start(80, 24, { NO_COLOR: "1" });
    await terminal.type(`${command}; echo "ended $?"`);
    await terminal.shows(everything);
    expect((await terminal.screen({ raw: true })).join("\n")).not.toContain("\u001b");
    const running = await terminal.processes();
    expect(running.length).toBe(1);
    for (const pid of running) process.kill(pid, "SIGTERM");
    await terminal.shows("ended 143");
    expect(await terminal.modes()).toEqual({ alternate: false, cursor: true });
  });
});
