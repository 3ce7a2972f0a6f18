import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, type LeaseId, prefix } from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { Cli, cliProgram } from "../support/cli.ts";
import { canStartTerminal, Terminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;
let etcd: EtcdClient;
let cli: Cli;
let folder: string;
let program: string;

/** Says its process id and its token ten times a second. With a second argument it does not end at SIGTERM. */
const beats = `
[ -z "$2" ] || trap '' TERM
while true; do echo "$$ $ETCD_LOCK_TOKEN" >>"$1"; sleep 0.1; done
`;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
  cli = new Cli(cluster.endpoints.join(","));
  folder = await mkdtemp(join(tmpdir(), "cli-"));
  program = join(folder, "beats.sh");
  await writeFile(program, beats);
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
  await rm(folder, { recursive: true });
});

const linesOf = async (file: string) =>
  (await readFile(file, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");

const firstLineOf = (file: string) => until(async () => (await linesOf(file))[0]);

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe.skipIf(!canStartTerminal)("in a terminal", { timeout: 90_000 }, () => {
  const start = () => Terminal.start({ columns: 160, rows: 20, env: { ETCD_ENDPOINTS: cluster.endpoints.join(",") } });
  const lockArgs = (name: string, ttl: string, file: string, ...more: string[]) => {
    return ["lock", name, "--ttl", ttl, "--", "sh", program, file, ...more];
  };
  const typed = (args: string[]) => `'${process.execPath}' '${cliProgram}' ${args.join(" ")}`;

  test("a holder that Ctrl-Z stops is followed by the next one, and its command never outlives the lock", async () => {
    const file = join(folder, "stopped");
    const args = lockArgs("/stopped", "4s", file, "stubborn");
    await using terminal = await start();
    await terminal.type(typed(args));
    const one = await firstLineOf(file);
    await using second = cli.start(...args);
    await until(async () => (await etcd.range(prefix("/stopped/"))).count === 2);
    await terminal.key("C-z");
    await terminal.shows("Stopped");
    await until(async () => (await linesOf(file)).some((line) => line !== one), { timeoutMs: 30_000 });
    // From the first line of the second holder on there is no line of the first one.
    const settled = (await linesOf(file)).length;
    await until(async () => (await linesOf(file)).length > settled + 10);
    const lines = await linesOf(file);
    expect(lines.lastIndexOf(one)).toBeLessThan(lines.findIndex((line) => line !== one));
    await terminal.type("fg");
    // The shell reads it when the program has ended.
    await terminal.type('echo "ended with $?"');
    await terminal.shows("ended with 75");
    second.kill("SIGTERM");
    await second.ended;
  });

  test("after Ctrl-Z and fg in time the command goes on under the same lock", async () => {
    const file = join(folder, "continued");
    await using terminal = await start();
    await terminal.type(typed(lockArgs("/continued", "20s", file)));
    const one = await firstLineOf(file);
    const [held] = (await etcd.range(prefix("/continued/"))).kvs;
    const leftSeconds = async () => (await etcd.leaseTimeToLive(held?.lease as LeaseId)).remainingSeconds;
    await terminal.key("C-z");
    await terminal.shows("Stopped");
    await terminal.type("fg");
    // It is renewed again.
    let least = Number.POSITIVE_INFINITY;
    await until(
      async () => {
        const left = await leftSeconds();
        const renewed = left > least;
        least = Math.min(least, left);
        return renewed;
      },
      { timeoutMs: 30_000 },
    );
    const settled = (await linesOf(file)).length;
    await until(async () => (await linesOf(file)).length > settled);
    expect(new Set(await linesOf(file))).toEqual(new Set([one]));
    await terminal.key("C-c");
    // The shell reads it when the program has ended.
    await terminal.type('echo "ended with $?"');
    await terminal.shows("ended with 143");
    expect((await etcd.range(prefix("/continued/"))).count).toBe(0);
  });

  test.each([
    ["Ctrl-C", (terminal: Terminal) => terminal.key("C-c")],
    ["Ctrl-\\", (terminal: Terminal) => terminal.key("C-\\")],
    ["the end of the terminal", (terminal: Terminal) => terminal[Symbol.asyncDispose]()],
  ])("%s ends the command", async (how, end) => {
    const name = how.replaceAll(/\W/g, "");
    const file = join(folder, name);
    await using terminal = await start();
    // Ctrl-\\ would leave a core behind.
    await terminal.type("ulimit -c 0");
    await terminal.type(typed(lockArgs(`/${name}`, "60s", file)));
    const line = await firstLineOf(file);
    const pid = Number(line.split(" ")[0]);
    expect(isRunning(pid)).toBe(true);
    await end(terminal);
    await until(() => !isRunning(pid));
  });
});
