import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { takePort } from "../../testing/free-ports.ts";
import { until } from "./until.ts";

// The one on PATH, or what scripts/setup.mjs unpacked.
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "etcd-recipes/redis/usr");
const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((name) => join(cache, "lib", name)).join(":");
const candidates = [
  { path: "redis-server", env: process.env },
  { path: join(cache, "bin/redis-server"), env: { ...process.env, LD_LIBRARY_PATH: libraries } },
];
const program = candidates.find(({ path, env }) => spawnSync(path, ["--version"], { env }).status === 0);

/** Without a redis-server the tests that break one cannot run. */
export const canStartRedis = program !== undefined;

if (!canStartRedis) {
  const missing = "nothing is tested with Redis: there is no redis-server, npm run setup -- --tests says why";
  if (process.env.CI) throw new Error(missing);
  console.warn(missing);
}

/** A real Redis on a free port of 127.0.0.1, in a folder of its own. */
export interface RunningRedis extends AsyncDisposable {
  readonly url: string;
  /** As a crash would end it. What it has acknowledged is on the disk. */
  kill(): Promise<void>;
  /** It accepts connections and answers nothing. */
  pause(): void;
  resume(): void;
  /** Starts it again after `kill()`, on its data and the same port. */
  start(): Promise<void>;
}

export interface StartRedisOptions {
  /** Not yet: `start()` does it. @default true */
  readonly start?: boolean;
}

/** Each write is on the disk before it is acknowledged (`appendfsync always`), so a kill loses nothing. */
export async function startRedis({ start = true }: StartRedisOptions = {}): Promise<RunningRedis> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-redis-"));
  const redis = new OwnRedis(folder, await takePort());
  if (start) await redis.start();
  return redis;
}

class OwnRedis implements RunningRedis {
  readonly #folder: string;
  readonly #port: number;
  #keeper: ChildProcess | undefined;
  #pid = 0;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    if (!program) throw new Error("there is no redis-server");
    const options = {
      port: this.#port,
      bind: "127.0.0.1",
      dir: this.#folder,
      appendonly: "yes",
      appendfsync: "always",
      save: "",
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    // The shell kills it when its own input ends, which is when this process closes it or dies, however. In a group of its
    // own, so that Ctrl-C in a terminal does not take it away before its clients.
    const script = '"$@" >>"$LOG" 2>&1 & echo $!; cat >/dev/null; kill -9 $!';
    this.#keeper = spawn("sh", ["-c", script, "sh", program.path, ...args], {
      env: { ...program.env, LOG: join(this.#folder, "redis.log") },
      stdio: ["pipe", "pipe", "ignore"],
      detached: true,
    });
    const { stdout } = this.#keeper;
    if (!stdout) throw new Error("the shell has no output");
    const [line] = await once(createInterface(stdout), "line");
    this.#pid = Number(line);
    await until(() => answersPing(this.#port), { message: () => `Redis answers, see ${this.#folder}/redis.log` });
  }

  async kill(): Promise<void> {
    const keeper = this.#keeper;
    if (!keeper) return;
    this.#keeper = undefined;
    process.kill(this.#pid, "SIGKILL");
    keeper.stdin?.end();
    await once(keeper, "exit");
  }

  pause(): void {
    process.kill(this.#pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.#pid, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Loading its data it answers with an error. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.once("data", (data) => {
      resolve(data.toString().startsWith("+PONG"));
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}
