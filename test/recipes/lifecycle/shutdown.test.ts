import { Agent, get } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix, SubscribeService, shutdown } from "../../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import type { Child } from "../../support/child.ts";
import { runProgramFile } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";

// How a process ends that has an http server: in real processes, on the built package.

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
});

const addressOf = (program: Child) => program.lines.find((line) => line.startsWith("127.0.0.1:")) ?? "";

async function start(name: string, limits: { drainMs: number; timeoutMs: number }): Promise<Child> {
  const args = { endpoint: cluster.endpoints[0], name, ...limits };
  const program = runProgramFile("serves-until-signal.mjs", [JSON.stringify(args)]);
  await until(() => addressOf(program), { timeoutMs: 30_000, message: () => program.errors.join("\n") });
  return program;
}

const fetchText = async (url: string, agent?: Agent) => (await fetchAnswer(url, agent)).text;

function fetchAnswer(url: string, agent?: Agent): Promise<{ text: string; connection: string | undefined }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, async (response) => {
      try {
        const text = (await response.setEncoding("utf8").toArray()).join("");
        resolve({ text, connection: response.headers.connection });
      } catch (error) {
        reject(error);
      }
    });
    request.on("error", reject);
  });
}

test("no request by the list is lost while a server leaves, and each thing ends in its order", async () => {
  const limits = { drainMs: 500, timeoutMs: 20_000 };
  await using leaving = await start("load", limits);
  await using staying = await start("load", limits);
  const services = new SubscribeService("load/services/", { client: etcd });
  await services.until((list) => list.length === 2);
  const agent = new Agent({ keepAlive: true });
  const failures: unknown[] = [];
  let answered = 0;
  let stopped = false;
  const load = Array.from({ length: 8 }, async () => {
    while (!stopped) {
      await fetchText(`http://${services.pick().address}/`, agent).then(
        () => answered++,
        (error) => failures.push(error),
      );
    }
  });
  await until(() => answered > 100);
  const slow = fetchText(`http://${addressOf(leaving)}/slow`);
  await until(() => leaving.lines.includes("slow begins"));
  leaving.kill("SIGTERM");
  const { received: ready, connection } = await until(async () => {
    const answer = await fetchAnswer(`http://${addressOf(leaving)}/ready`, agent);
    const received = JSON.parse(answer.text);
    return received.ready ? undefined : { received, connection: answer.connection };
  });
  // A client must not send its next request on a connection that is about to be closed.
  expect(connection).toBe("close");
  const key = `load/services/${addressOf(leaving)}`;
  expect(ready.reasons).toContain(`ServiceRegister ${JSON.stringify(key)}: it is being closed`);
  expect(await leaving.ended).toBe(0);
  const before = answered;
  await until(() => answered > before + 100);
  stopped = true;
  await Promise.all(load);
  agent.destroy();
  expect(failures).toEqual([]);
  expect(await slow).toBe("ok");
  const steps = leaving.lines.filter((line) => / close[sd]$|^exit/.test(line));
  expect(steps.slice(0, 3)).toEqual(["registration closes", "registration closed", "server closed"]);
  expect(steps.slice(3, 7).sort()).toEqual(["election closed", "election closes", "mutex closed", "mutex closes"]);
  expect(steps.slice(7)).toEqual(["list closes", "list closed", "client closes", "client closed", "exit 0"]);
  expect(leaving.errors).toEqual([]);
  expect(staying.end).toBeUndefined();
  expect((await etcd.range(prefix("load/services/"))).kvs.map(({ key }) => key)).toEqual([
    `load/services/${addressOf(staying)}`,
  ]);
  await services.close();
});

test("requests are finished before the process gives back what they use", async () => {
  await using program = await start("slow", { drainMs: 0, timeoutMs: 20_000 });
  const slow = fetchText(`http://${addressOf(program)}/slow`);
  await until(() => program.lines.includes("slow begins"));
  program.kill("SIGINT");
  expect(await slow).toBe("ok");
  expect(await program.ended).toBe(0);
  const { lines } = program;
  expect(lines.indexOf("slow ends")).toBeLessThan(lines.indexOf("mutex closes"));
});

test("a request that hangs holds nothing up for ever: its time ends, locks are given back, and the exit code is 1", async () => {
  await using program = await start("hangs", { drainMs: 0, timeoutMs: 4_000 });
  const request = fetchText(`http://${addressOf(program)}/hangs`).catch((error) => error.code);
  await until(() => program.lines.includes("hangs"));
  program.kill("SIGTERM");
  expect(await program.ended).toBe(1);
  expect(await request).toBe("ECONNRESET");
  expect(program.errors.join("\n")).toContain(
    "[ETCD_SHUTDOWN] EtcdWarning: shutdown: Server: requests did not end in time",
  );
  expect(program.lines).toContain("client closed");
  expect((await etcd.range(prefix("hangs/"))).kvs).toEqual([]);
});

test("a second signal ends the process at once", async () => {
  await using program = await start("twice", { drainMs: 0, timeoutMs: 60_000 });
  fetchText(`http://${addressOf(program)}/hangs`).catch(() => {});
  await until(() => program.lines.includes("hangs"));
  program.kill("SIGTERM");
  await until(() => program.lines.includes("registration closed"));
  program.kill("SIGINT");
  expect(await program.ended).toBe(130);
  expect(program.lines).not.toContain("mutex closes");
});

test("the process ends in its time while etcd does not answer", async () => {
  await using program = await start("frozen", { drainMs: 0, timeoutMs: 3_000 });
  await cluster.member(0).pause();
  try {
    const before = performance.now();
    program.kill("SIGTERM");
    expect(await program.ended).toBe(1);
    expect(performance.now() - before).toBeLessThan(8_000);
    expect(program.errors.join("\n")).toContain("shutdown: it took longer than 3000 ms");
  } finally {
    await cluster.member(0).resume();
  }
});

test.each([
  [{ recipe: [] }, 'shutdown: recipe is not an option; did you mean "recipes"?'],
  [{ recipes: [{}] }, "shutdown: recipes.0 must have close(), not an object"],
  [{ servers: [{ close() {} }, null] }, "shutdown: servers.1 must have close(), not null"],
  [{ servers: 5 }, "shutdown: servers must be a list of what has close(), not 5"],
  [{ signals: "SIGTERM" }, 'shutdown: signals must be a list of signals such as SIGTERM, not "SIGTERM"'],
  [{ signals: ["SIGTREM"] }, 'shutdown: signals.0 must be a signal such as SIGTERM, not "SIGTREM"'],
  [{ signals: [15] }, "shutdown: signals.0 must be a signal such as SIGTERM, not 15"],
  [{ signals: ["SIGTERM", "SIGKILL"] }, "shutdown: signals must not have SIGKILL: no process can listen to it"],
  [{ signals: ["SIGTERM", "SIGSTOP"] }, "shutdown: signals must not have SIGSTOP: no process can listen to it"],
  [{ drainMs: -1 }, "shutdown: drainMs must be a number of milliseconds, at least 0 and below 2^31, not -1"],
  [{ timeoutMs: 2_000 }, "shutdown: timeoutMs must be more than drainMs, which is 2000 ms, not 2000"],
])("%j is refused by name, and listens to nothing", (options, message) => {
  const before = process.listenerCount("SIGTERM");
  expect(() => shutdown(options as object)).toThrow(expect.objectContaining({ code: "ETCD_INVALID_OPTION", message }));
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("one that is cancelled listens to no signal any more", () => {
  const before = process.listenerCount("SIGTERM");
  const waiting = shutdown({ signals: ["SIGTERM"] });
  expect(process.listenerCount("SIGTERM")).toBe(before + 1);
  waiting.cancel();
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("a signal that is named twice is listened to once, so that the first one is not taken for the second", () => {
  const before = process.listenerCount("SIGTERM");
  const waiting = shutdown({ signals: ["SIGTERM", "SIGTERM"] });
  expect(process.listenerCount("SIGTERM")).toBe(before + 1);
  waiting.cancel();
  expect(process.listenerCount("SIGTERM")).toBe(before);
});
