import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takePort } from "../../testing/free-ports.ts";
import { findProgram } from "./find-program.ts";
import { KeptProcess } from "./kept-process.ts";
import { until } from "./until.ts";

const program = findProgram("redis", "usr/bin/redis-server", "--version", "nothing is tested with Redis");

/** Without a redis-server the tests that break one cannot run. */
export const canStartRedis = program !== undefined;

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
  #process: KeptProcess | undefined;

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
    this.#process = await KeptProcess.start(program, args, join(this.#folder, "redis.log"));
    await until(() => answersPing(this.#port), { message: () => `Redis answers, see ${this.#folder}/redis.log` });
  }

  async kill(): Promise<void> {
    const killed = this.#process;
    this.#process = undefined;
    await killed?.kill();
  }

  pause(): void {
    this.#process?.signal("SIGSTOP");
  }

  resume(): void {
    this.#process?.signal("SIGCONT");
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
