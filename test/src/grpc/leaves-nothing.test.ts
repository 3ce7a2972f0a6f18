import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { connect } from "../../../src/grpc/index.ts";
import { ask, listen } from "../../support/grpc-lab.ts";
import { answer, flag, settings, type } from "../../support/http2-frames.ts";
import { runNode } from "../../support/run-program.ts";
import { type ScriptedPeer, ScriptedServer } from "../../support/scripted-server.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

const connects = 10_000;

/** Says its settings, answers each call; the server of a dial that fails hangs up instead. */
async function startAnswering(): Promise<ScriptedServer> {
  const server = await ScriptedServer.start();
  let count = 0;
  server.onPeer = (peer: ScriptedPeer) => {
    if (++count % 10 === 0) return void peer.socket.destroy();
    peer.onFrame = ({ type: frameType, flags, id }) => {
      if ((frameType === type.DATA || frameType === type.HEADERS) && (flags & flag.END_STREAM) !== 0)
        peer.send(answer(id));
    };
    peer.send(settings());
  };
  return server;
}

function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const openFiles = () => readdirSync("/proc/self/fd").length;

test("10 000 connects leave no socket, no timer and no handle", { timeout: 300_000 }, async () => {
  const random = seeded("leaves nothing");
  await using server = await startAnswering();
  const ways = {
    async "call and destroy"() {
      const connection = await connect(server.target);
      await ask(connection, "/a", Buffer.from("a"), { timeoutMs: 100_000 });
      connection.destroy();
    },
    async "destroy under a call"() {
      const connection = await connect(server.target);
      const call = ask(connection, "/a", Buffer.from("a"), { timeoutMs: 100_000 });
      connection.destroy();
      expect((await call).failure).toBeDefined();
    },
    async "close under a stream"() {
      const connection = await connect(server.target);
      const { stream, ends } = listen(connection, { timeoutMs: 100_000 });
      stream.write(Buffer.from("a"));
      connection.close();
      stream.end();
      await until(() => ends.length > 0);
    },
    async "ping and close"() {
      const connection = await connect(server.target);
      await connection.ping();
      connection.close();
    },
    async "give up the dial"() {
      const controller = new AbortController();
      const dial = connect(server.target, { signal: controller.signal });
      setImmediate(() => controller.abort());
      (await dial).destroy();
    },
  };
  let before: Record<string, number> | undefined;
  let filesBefore = 0;
  let left = connects;
  const worker = async () => {
    while (left-- > 0) await ways[random.pick(Object.keys(ways) as (keyof typeof ways)[])]().catch(() => {});
  };
  // What is made once, such as threads for names, is not a leak.
  left = 100;
  await Promise.all(Array.from({ length: 20 }, worker));
  await until(() => server.peers.every(({ ended }) => ended));
  server.peers.length = 0;
  before = handles();
  filesBefore = openFiles();
  left = connects;
  await Promise.all(Array.from({ length: 20 }, worker));
  expect(server.peers.length).toBeGreaterThan(connects * 0.8);
  await until(() => openFiles() <= filesBefore, {
    message: () => `${openFiles()} files are open, ${filesBefore} were`,
  });
  const grown = () => Object.entries(handles()).filter(([name, count]) => count > (before?.[name] ?? 0));
  await until(() => grown().length === 0, { message: () => JSON.stringify(grown()) });
});

const built = JSON.stringify(new URL("../../../dist/esm/src/grpc/index.js", import.meta.url).href);

/** A program that ends by itself, if nothing of ours holds it. */
function program(server: ScriptedServer, source: string) {
  const lines = `import { connect } from ${built}; const target = ${JSON.stringify(server.target)};
    const call = (c, timeoutMs) => new Promise((resolve) => c.unary("/a", Buffer.alloc(0), { timeoutMs }, (failure) => resolve(failure?.message ?? "ok")));
    ${source}`;
  return runNode(["--input-type=module", "-e", lines]);
}

test.each([
  ["an idle connection", "await connect(target); console.log('connected');", "connected"],
  ["a call that had an hour and was answered", "console.log(await call(await connect(target), 3_600_000));", "ok"],
  ["an answered ping", "const c = await connect(target); await c.ping(); console.log('alive');", "alive"],
])("%s does not keep the process alive", async (_, source, line) => {
  await using server = await startAnswering();
  await using running = program(server, source);
  expect(await running.ended).toBe(0);
  expect(running.lines).toEqual([line]);
});

test.each([
  ["a call", [], "console.log(await call(await connect(target), 300));", "no answer within the deadline"],
  ["a queued call", [3, 0], "console.log(await call(await connect(target), 300));", "no answer within the deadline"],
  [
    "a stream",
    [],
    "(await connect(target)).stream('/a', { timeoutMs: 300 }, { onMessage() {}, onEnd: (it) => console.log(it.message) });",
    "no answer within the deadline",
  ],
  [
    "a dial",
    undefined,
    "await connect(target, { settingsTimeoutMs: 300 }).catch((it) => console.log(it.message));",
    "the server sent no SETTINGS within 300 ms",
  ],
] as const)("%s keeps the process alive until it is over", async (_, setting, source, line) => {
  await using server = await ScriptedServer.start();
  server.onPeer = (peer) => {
    if (setting) peer.send(setting.length > 0 ? settings([setting[0] ?? 0, setting[1] ?? 0]) : settings());
  };
  await using running = program(server, source);
  expect(await running.ended).toBe(0);
  expect(running.lines).toEqual([line]);
});
