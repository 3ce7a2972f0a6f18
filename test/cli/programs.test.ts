import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix, SubscribeService } from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;
let etcd: EtcdClient;
let cli: Cli;
let folder: string;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
  cli = new Cli(cluster.endpoints.join(","));
  folder = await mkdtemp(join(tmpdir(), "cli-"));
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
  await rm(folder, { recursive: true });
});

/** Writes a line to a file ten times a second, with the token that it has. */
const beating = (file: string, token: string) =>
  `trap '' TERM; while true; do echo "$${token}" >>${file}; sleep 0.1; done`;

const tokensIn = async (file: string) =>
  (await readFile(file, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");

test("register lists a service while its command runs, drains it first, and ends with the command's code", async () => {
  await using services = new SubscribeService("/reg/", { client: etcd });
  await services.ready;
  await using running = cli.start("register", "/reg/m1", "10.0.0.1:80", "--drain", "300ms", "--", "sleep", "100");
  await until(() => services.list().length === 1);
  const drained = new Promise<boolean>((resolve) => {
    services.on("change", () => {
      if (services.list().some(({ draining }) => draining)) resolve(true);
    });
  });
  running.kill("SIGTERM");
  expect(await drained).toBe(true);
  expect(await running.ended).toBe(143);
  await until(() => services.list().length === 0);
  expect((await cli.run("register", "/reg/m2", "10.0.0.1:80", "--", "sh", "-c", "exit 7")).code).toBe(7);
  expect((await etcd.range(prefix("/reg/"))).count).toBe(0);
  for (const none of ["0", "0s"]) {
    expect((await cli.run("register", "/reg/m4", "10.0.0.1:80", "--drain", none, "--", "true")).code).toBe(0);
  }
  expect(await cli.run("register", "/reg/m3", "10.0.0.1:80", "--", "there-is-no-such-command")).toMatchObject({
    code: 127,
    err: expect.stringContaining("there is no such command"),
  });
});

test("register ends with the code of a command that ends before etcd was reached", async () => {
  const away = new Cli("127.0.0.1:1");
  expect(await away.run("register", "/reg/m1", "10.0.0.1:80", "--", "sh", "-c", "exit 7")).toMatchObject({
    code: 7,
    err: expect.stringContaining("left before /reg/m1 was registered"),
  });
});

test("register names the URL of a health check that does not answer, and why", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  const url = `http://127.0.0.1:${port}/live`;
  await using running = cli.start("register", "/sick", "10.0.0.1:80", "--health", url, "--", "sleep", "100");
  await until(() => running.errors.length > 0);
  expect(running.errors[0]).toContain(`${url} does not answer: connect ECONNREFUSED 127.0.0.1:${port}`);
  running.kill("SIGTERM");
  expect(await running.ended).toBe(143);
});

test("register notes a health check that says no, what that means, and the return", async () => {
  let status = 503;
  const server = createHttpServer((_, response) => response.writeHead(status).end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/live`;
  // A lease that a busy machine renews late would be lost, and noted, between the checks.
  const command = ["--ttl", "20s", "--health", url, "--", "sleep", "100"];
  await using running = cli.start("register", "/sick/m2", "10.0.0.1:80", ...command);
  const out = [`${url} answered 503`, "/sick/m2 is not listed until its health check succeeds"];
  await until(() => running.errors.length >= 2);
  expect(running.errors).toEqual(out);
  status = 204;
  await until(() => running.errors.length >= 3, { timeoutMs: 30_000 });
  status = 503;
  await until(() => running.errors.length >= 5, { timeoutMs: 30_000 });
  expect(running.errors).toEqual([...out, "registered /sick/m2 at 10.0.0.1:80", ...out]);
  running.kill("SIGTERM");
  expect(await running.ended).toBe(143);
  server.closeAllConnections();
  await once(server.close(), "close");
});

test("register notes each answer of a health check once until it is listed again", async () => {
  const answers = [503, 500, 503, 500];
  const server = createHttpServer((_, response) => response.writeHead(answers.shift() ?? 204).end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/live`;
  const command = ["--ttl", "2s", "--health", url, "--", "sleep", "100"];
  await using running = cli.start("register", "/sick/m3", "10.0.0.1:80", ...command);
  await until(() => running.errors.includes("registered /sick/m3 at 10.0.0.1:80"), { timeoutMs: 30_000 });
  const noted = running.errors.filter((line) => line.startsWith(url));
  expect(noted.sort()).toEqual([`${url} answered 500`, `${url} answered 503`]);
  running.kill("SIGTERM");
  expect(await running.ended).toBe(143);
  server.closeAllConnections();
  await once(server.close(), "close");
});

test("register notes that another owner has its key, that it was lost, and each return", async () => {
  // A lease that a busy machine renews late would be lost, and noted, too.
  const args = ["register", "--ttl", "30s", "/conflict/m1"];
  const here = "registered /conflict/m1 at 10.0.0.1:80";
  await using first = cli.start(...args, "10.0.0.1:80", "--", "sleep", "100");
  await until(() => first.errors.length >= 1);
  await etcd.delete("/conflict/m1");
  await until(() => first.errors.length >= 3);
  expect(first.errors).toEqual([here, "/conflict/m1 is gone from etcd: registering it again", here]);
  await using second = cli.start(...args, "10.0.0.2:80", "--", "sleep", "100");
  await until(() => first.errors.length >= 4);
  const lease = (await etcd.get("/conflict/m1"))?.lease;
  const said = `/conflict/m1 belongs to another owner, on lease ${lease}: it is registered again when the key is free`;
  expect(first.errors.slice(3)).toEqual([said]);
  second.kill("SIGTERM");
  expect(await second.ended).toBe(143);
  await until(() => first.errors.length >= 5);
  expect(first.errors.slice(4)).toEqual([here]);
  first.kill("SIGTERM");
  expect(await first.ended).toBe(143);
});

test.each([
  ["register", "/stopped", "10.0.0.1:80"],
  ["elect", "/stopped"],
  ["lock", "/stopped"],
])("%s that Ctrl-C ends with its command has the command's code, which gets SIGTERM", async (...words) => {
  for (const [script, code] of [
    ["echo runs; exec sleep 100", 143],
    ["trap 'exit 7' TERM; echo runs; while true; do sleep 0.1; done", 7],
  ] as const) {
    await using running = cli.start(...words, "--", "sh", "-c", script);
    await running.firstLine;
    running.kill("SIGINT");
    expect(await running.ended).toBe(code);
  }
});

test("lock says so when it is lost", async () => {
  await using running = cli.start("lock", "/lost", "--", "sh", "-c", "echo held; exec sleep 100");
  await running.firstLine;
  const [held] = (await etcd.range(prefix("/lost/"))).kvs;
  await etcd.delete(held?.key ?? "");
  expect(await running.ended).toBe(75);
  expect(running.errors).toEqual(["the lock /lost was lost, or about to be: the command was stopped"]);
});

test("lock runs one command at a time, hands its token over, and gives up with --wait", async () => {
  await using first = cli.start(
    "lock",
    "/lock",
    "--",
    "sh",
    "-c",
    'echo "$ETCD_LOCK_TOKEN $ETCD_LOCK_KEY"; exec sleep 100',
  );
  const [token = "", key = ""] = (await first.firstLine).split(" ");
  expect((await etcd.get(key))?.createRevision).toBe(Number(token));
  expect(await cli.run("lock", "/lock", "--wait", "300ms", "--", "true")).toMatchObject({
    code: 1,
    err: "another process has /lock",
  });
  await using second = cli.start("lock", "/lock", "--", "sh", "-c", 'echo "$ETCD_LOCK_TOKEN"; exit 5');
  await until(async () => (await etcd.range(prefix("/lock/"))).count === 2);
  first.kill("SIGTERM");
  expect(await first.ended).toBe(143);
  expect(Number(await second.firstLine)).toBeGreaterThan(Number(token));
  expect(await second.ended).toBe(5);
});

test.each(["SIGKILL", "SIGSTOP"] as const)(
  "a holder of a term that gets %s is followed by the next one, and its command never outlives the term",
  async (how) => {
    const file = join(folder, how);
    const args = ["elect", `/elect-${how}`, "--ttl", "4s", "--", "sh", "-c", beating(file, "ETCD_TERM_TOKEN")];
    await using first = cli.start(...args);
    await until(async () => (await tokensIn(file)).length > 2);
    const [one] = await tokensIn(file);
    await using second = cli.start(...args);
    await until(async () => (await etcd.range(prefix(`/elect-${how}/`))).count === 2);
    first.kill(how);
    await until(async () => (await tokensIn(file)).some((token) => token !== one), { timeoutMs: 30_000 });
    // From the first line of the second holder on there is no line of the first one.
    const settled = (await tokensIn(file)).length;
    await until(async () => (await tokensIn(file)).length > settled + 10);
    // The next one may have led twice by now, on a busy machine.
    await until(async () => (await cli.run("leader", `/elect-${how}`)).code === 0);
    const tokens = await tokensIn(file);
    expect(tokens.lastIndexOf(one as string)).toBeLessThan(tokens.findIndex((token) => token !== one));
    // The command ignores SIGTERM: it gets SIGKILL after its grace.
    second.kill("SIGTERM");
    expect(await second.ended).toBe(137);
    if (how === "SIGSTOP") first.kill("SIGKILL");
  },
  90_000,
);

test("elect that Ctrl-C ends while it waits again has the code of the signal, not of a lost term", async () => {
  await using first = cli.start("elect", "/again", "--", "sleep", "100");
  await until(() => first.errors.some((line) => line.startsWith("leads")));
  const [held] = (await etcd.range(prefix("/again/"))).kvs;
  await using second = cli.start("elect", "/again", "--", "sleep", "100");
  await until(async () => (await etcd.range(prefix("/again/"))).count === 2);
  await etcd.delete(held?.key ?? "");
  await until(() => first.errors.includes("the term of /again is over"));
  await until(async () => second.errors.some((line) => line.startsWith("leads")));
  // It stands in line behind the other one.
  await until(async () => (await etcd.range(prefix("/again/"))).count === 2);
  first.kill("SIGINT");
  expect(await first.ended).toBe(130);
  second.kill("SIGTERM");
  expect(await second.ended).toBe(143);
});

test("a service goes on when what read its notes has gone", async () => {
  await using running = cli.start("register", "/mute", "10.0.0.1:80", "--drain", "1ms", "--", "sleep", "100");
  await until(async () => (await etcd.range("/mute")).count === 1);
  running.process.stderr?.destroy();
  // It notes both, and answers after that.
  expect(await cli.run("drain", "/mute")).toMatchObject({ code: 0 });
  expect(await cli.run("drain", "/mute", "--undo")).toMatchObject({ code: 0 });
  running.kill("SIGTERM");
  expect(await running.ended).toBe(143);
});

test("a command that is not there has its exit code also when what read the notes has gone", async () => {
  await using running = cli.start("register", "/gone", "10.0.0.1:80", "--", "there-is-no-such-command");
  running.process.stderr?.destroy();
  expect(await running.ended).toBe(127);
});

test("watch --exec goes on after an event that no environment can hold, and notes only its key", async () => {
  const script = 'echo "$ETCD_EVENT_KEY $ETCD_EVENT_VALUE"';
  await using watching = cli.start("watch", "/unfit/", "--exec", script, "--revision", "1");
  await etcd.put("/unfit/nul", "secret\0secret");
  await etcd.put("/unfit/long", "secret".repeat(32_768));
  await etcd.put("/unfit/none", "1");
  await until(() => watching.lines.length > 0 || watching.end !== undefined);
  expect(watching.lines).toEqual(["/unfit/none 1"]);
  const said = (key: string, problem: string) => `${script} was not run for ${key}: its key or value ${problem}`;
  await until(() => watching.errors.length === 2);
  expect(watching.errors).toEqual([
    said("/unfit/nul", "has a NUL byte, which no environment variable can hold"),
    said("/unfit/long", "is too long for an environment variable"),
  ]);
  watching.kill("SIGINT");
  expect(await watching.ended).toBe(130);
});

test("leader has exit code 1 where there is none, and --watch prints each change", async () => {
  expect((await cli.run("leader", "/none")).code).toBe(1);
  await using watching = cli.start("leader", "/watched", "--watch");
  await until(() => watching.lines.length === 1);
  await using leading = cli.start("elect", "/watched", "--candidate", "s1", "--", "sleep", "100");
  await until(() => watching.lines.length === 2);
  expect(await cli.json("leader", "/watched")).toMatchObject([{ place: "leads", candidate: "s1" }]);
  leading.kill("SIGTERM");
  await until(() => watching.lines.length === 3);
  expect(watching.lines).toEqual(["no leader", expect.stringMatching(/^s1 {2}token \d+$/), "no leader"]);
});
