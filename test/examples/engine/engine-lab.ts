import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { EtcdClient, prefix, Queue } from "../../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { type RunningRedis, startRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { EngineProgram } from "./engine-program.ts";

/** What a test submits: a task, or something that is none. */
export interface Submitted {
  readonly id: string;
  readonly [field: string]: unknown;
}

export interface TaskRecord {
  readonly state: string;
  readonly token: number;
  readonly failures: number;
  readonly by?: string;
  readonly reason?: string;
}

export interface EngineLabOptions {
  /** Takes the tasks from a Redis that is not running yet, or is, rather than from etcd. @default etcd */
  readonly redis?: "running" | "stopped" | undefined;
  /** @default 1 */
  readonly members?: number;
}

type RedisClient = ReturnType<typeof createClient>;

/** Several programs that start beside other tests share two cores. */
export const startLimitMs = 60_000;

const finalStates = ["done", "cancelled", "dead"];

/**
 * An etcd, perhaps a Redis, and the programs of the engine on them, as users run them; what is in etcd and on the disk.
 */
export class EngineLab implements AsyncDisposable {
  readonly cluster: EtcdCluster;
  readonly etcd: EtcdClient;
  readonly programs: EngineProgram[] = [];
  readonly #folder: string;
  readonly #queue: Queue;
  readonly #redis: RunningRedis | undefined;
  #connection: RedisClient | undefined;

  private constructor(cluster: EtcdCluster, folder: string, redis: RunningRedis | undefined) {
    this.cluster = cluster;
    this.#folder = folder;
    this.#redis = redis;
    this.etcd = new EtcdClient({ endpoints: cluster.endpoints });
    this.#queue = new Queue("/publictest/tasks", { client: this.etcd });
  }

  static async start({ redis, members = 1 }: EngineLabOptions = {}): Promise<EngineLab> {
    const started = Promise.all([
      startEtcd({ members }),
      mkdtemp(join(tmpdir(), "etcd-recipes-engine-")),
      redis && startRedis({ start: redis === "running" }),
    ]);
    return new EngineLab(...(await started));
  }

  get redis(): RunningRedis {
    if (!this.#redis) throw new Error("this lab has no Redis");
    return this.#redis;
  }

  /** A master with a registration of 2 s, unless the flags say otherwise. */
  master(id: string, ...flags: string[]): EngineProgram {
    return this.#start("master", id, ["--dir", this.dirOf(id), "--ttl", "2", ...flags]);
  }

  /** A scheduler with a candidacy of 2 s, unless the flags say otherwise. */
  scheduler(id: string, ...flags: string[]): EngineProgram {
    return this.#start("scheduler", id, ["--ttl", "2", "--drain", "10", ...flags]);
  }

  /** Where a master has its files. */
  dirOf(id: string): string {
    return join(this.#folder, id);
  }

  async submit(...tasks: readonly Submitted[]): Promise<void> {
    await this.submitText(...tasks.map((task) => JSON.stringify(task)));
  }

  /** Whatever it is. */
  async submitText(...texts: readonly string[]): Promise<void> {
    if (!this.#redis) {
      await this.#queue.enqueueMany(texts);
      return;
    }
    await this.#withRedis(async (redis) => {
      for (const text of texts) await redis.xAdd("publictest:tasks", "*", { task: text });
    });
  }

  /** How many tasks are not acknowledged. */
  async queued(): Promise<number> {
    return this.#redis ? this.#withRedis((redis) => redis.xLen("publictest:tasks")) : this.#queue.size();
  }

  async deadLetters(): Promise<{ value: string; reason: string }[]> {
    const letters = this.#redis
      ? await this.#withRedis(async (redis) => Object.values(await redis.hGetAll("publictest:dead-letters")))
      : (await this.etcd.range(prefix("/publictest/dead-letters/"))).kvs.map(({ text }) => text);
    return letters.map((letter) => JSON.parse(letter));
  }

  async progress(): Promise<Map<string, TaskRecord>> {
    const { kvs } = await this.etcd.range(prefix("/publictest/progress/"));
    return new Map(kvs.map(({ key, text }) => [key.slice("/publictest/progress/".length), JSON.parse(text)]));
  }

  async stateOf(taskId: string): Promise<string | undefined> {
    return (await this.progress()).get(taskId)?.state;
  }

  /** Waits until the state of each of these is final, and nothing is queued any more. */
  async settled(ids: readonly string[], timeoutMs = 30_000): Promise<Map<string, TaskRecord>> {
    let progress = new Map<string, TaskRecord>();
    const open = () => ids.filter((id) => !finalStates.includes(progress.get(id)?.state ?? ""));
    await until(
      async () => {
        progress = await this.progress();
        return open().length === 0 && (await this.queued()) === 0;
      },
      { timeoutMs, message: () => `all are settled; open: ${open().join(", ")}\n${this.story}` },
    );
    return progress;
  }

  /** How often each task was done, by what the masters left on the disk. */
  async effects(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const id of existsSync(this.#folder) ? await readdir(this.#folder) : []) {
      const log = await readFile(join(this.dirOf(id), "done.log"), "utf8").catch(() => "");
      for (const task of log.split("\n").slice(0, -1)) counts.set(task, (counts.get(task) ?? 0) + 1);
    }
    return counts;
  }

  /** The scheduler that leads, among those that run. */
  async leader(): Promise<EngineProgram> {
    return until(
      async () => {
        const { kvs } = await this.etcd.range(prefix("/leader/"));
        const [first] = [...kvs].sort((a, b) => a.createRevision - b.createRevision);
        return this.programs.find(({ id, hasEnded }) => id === first?.text && !hasEnded);
      },
      // A member of etcd may be away meanwhile, and the leader's lease has to end.
      { timeoutMs: 30_000, message: "one of the schedulers leads" },
    );
  }

  /** All programs, so that others can have their ids. */
  async killAll(): Promise<void> {
    await Promise.all(this.programs.splice(0).map((program) => program.kill()));
  }

  /** What all programs said, for failures. */
  get story(): string {
    return this.programs
      .flatMap(({ output }) => output.split("\n").slice(0, -1))
      .sort()
      .slice(-200)
      .join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killAll();
    this.#connection?.destroy();
    await this.#queue.close();
    await this.etcd.close();
    await Promise.all([this.cluster.close(), this.#redis?.[Symbol.asyncDispose]()]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  #start(name: "master" | "scheduler", id: string, args: readonly string[]): EngineProgram {
    const env = { ETCD_ENDPOINTS: this.cluster.endpoints.join(), REDIS_URL: this.#redis?.url ?? "" };
    const program = new EngineProgram(name, id, args, env);
    this.programs.push(program);
    return program;
  }

  /** Over a connection that comes back after an outage. */
  async #withRedis<T>(use: (redis: RedisClient) => Promise<T>): Promise<T> {
    if (!this.#connection) {
      const connection: RedisClient = createClient({ url: this.redis.url, socket: { reconnectStrategy: 50 } });
      this.#connection = connection.on("error", () => {});
      connection.connect().catch(() => {});
    }
    return use(this.#connection);
  }
}
