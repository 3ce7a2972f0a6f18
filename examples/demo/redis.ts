import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { InvalidOptionError } from "etcd-recipes";
import { readRedisUrl } from "../engine/shared/flags.ts";
import type { Journal } from "./journal.ts";

/** The Redis that the demo takes its tasks from. */
export interface DemoRedis extends AsyncDisposable {
  readonly url: string;
}

/** The one that `REDIS_URL` names, else one of its own. @throws InvalidOptionError when there is neither */
export async function openRedis(journal: Journal, env: NodeJS.ProcessEnv): Promise<DemoRedis> {
  const url = readRedisUrl("demo", undefined);
  if (url !== undefined) {
    journal.log("demo", "tasks come from the Redis of REDIS_URL");
    return { url, [Symbol.asyncDispose]: async () => {} };
  }
  const program = findRedis(env);
  if (program === undefined) {
    const advice = "there is no redis-server on PATH; `npm run setup -- --tests` gets one, or set REDIS_URL";
    throw new InvalidOptionError("demo", "--redis", advice);
  }
  journal.log("demo", "tasks come from a Redis of its own");
  return startRedis(program);
}

interface RedisProgram {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The one on PATH, or what scripts/setup.mjs unpacked. */
function findRedis(env: NodeJS.ProcessEnv): RedisProgram | undefined {
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "etcd-recipes/redis/usr");
  const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((name) => join(cache, "lib", name)).join(":");
  const candidates = [
    { path: "redis-server", env },
    { path: join(cache, "bin/redis-server"), env: { ...env, LD_LIBRARY_PATH: libraries } },
  ];
  return candidates.find((it) => spawnSync(it.path, ["--version"], { env: it.env }).status === 0);
}

/** Nothing of it is on the disk: the demo does not break it. */
async function startRedis({ path, env }: RedisProgram): Promise<DemoRedis> {
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  // The shell kills it when its own input ends, which is when this process closes it or dies, however. In a group of
  // its own, so that Ctrl-C in a terminal does not take it away before its clients. Only Redis keeps stdout, which so
  // ends when Redis does.
  const keeper = spawn("sh", ["-c", '"$@" & exec >&2; cat; kill -9 $!', "sh", path, ...args], {
    env,
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
  });
  const exited = once(keeper, "exit");
  let said = "";
  for await (const line of createInterface(keeper.stdout)) {
    said = line;
    if (line.includes("Ready to accept connections")) break;
  }
  keeper.stdout.resume();
  const close = async () => {
    keeper.stdin.end();
    await exited;
  };
  if (!said.includes("Ready to accept connections")) {
    await close();
    throw new Error(`redis-server did not start: ${said}`);
  }
  return { url: `redis://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a server on TCP has a port");
  return address.port;
}
