import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "etcd-recipes/redis");
const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((machine) => join(cache, "usr/lib", machine));
/** On PATH, or where `npm run setup -- --tests` unpacks it. */
const programs = [
  { path: "redis-server", env: process.env },
  { path: join(cache, "usr/bin/redis-server"), env: { ...process.env, LD_LIBRARY_PATH: libraries.join(":") } },
];

/** A Redis that has each write on the disk before it answers, as etcd does. */
export class Redis implements AsyncDisposable {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, process: ChildProcess, folder: string) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
  }

  /** @returns undefined where there is none */
  static async start(): Promise<Redis | undefined> {
    const program = programs.find(({ path, env }) => spawnSync(path, ["--version"], { env }).status === 0);
    if (!program) return undefined;
    const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), "bench-redis-"))];
    const kept = ["--dir", folder, "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
    const args = ["--port", String(port), "--bind", "127.0.0.1", ...kept];
    const started = spawn(program.path, args, { env: program.env, stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface(started.stdout)) if (line.includes("Ready to accept")) break;
    started.stdout.resume();
    return new Redis(port, started, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.kill();
    await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
