import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

// The system's, or what scripts/setup.mjs unpacked.
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "etcd-recipes/libfaketime");
const library = ["x86_64-linux-gnu", "aarch64-linux-gnu", "../lib64", "."]
  .flatMap((folder) => ["/usr/lib", join(cache, "usr/lib")].map((root) => join(root, folder)))
  .map((folder) => join(folder, "faketime/libfaketimeMT.so.1"))
  .find((path) => existsSync(path));

const sharedMemory = "/dev/shm";

/** Without libfaketime nothing can move the wall clock of one process. */
export const canFakeWallClock = library !== undefined;

if (!canFakeWallClock) {
  const missing = "no jumps of the wall clock are tested: libfaketime is missing";
  if (process.env.CI) throw new Error(missing);
  console.warn(missing);
}

/** The wall clock of other processes, to be moved against their monotonic one. */
export class FakedWallClock implements AsyncDisposable {
  /** For the processes that shall have this clock. */
  readonly env: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #file: string;
  readonly #madeMs = Date.now();

  private constructor(folder: string) {
    this.#folder = folder;
    this.#file = join(folder, "offset");
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      // One name for each version of the library.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }

  static async create(): Promise<FakedWallClock> {
    const clock = new FakedWallClock(await mkdtemp(join(tmpdir(), "etcd-recipes-faketime-")));
    await clock.set(0);
    return clock;
  }

  /** Moves it to so many seconds ahead of the true time. */
  async set(aheadSeconds: number): Promise<void> {
    await writeFile(this.#file, `${aheadSeconds < 0 ? "" : "+"}${aheadSeconds}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
    await this.#removeShared();
  }

  /** libfaketime leaves memory of its own behind where its process is killed. */
  async #removeShared(): Promise<void> {
    for (const name of await readdir(sharedMemory).catch(() => [])) {
      const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1];
      const path = join(sharedMemory, name);
      if (!pid || existsSync(`/proc/${pid}`)) continue;
      const made = await stat(path).catch(() => undefined);
      if (made && made.mtimeMs >= this.#madeMs) await rm(path, { force: true });
    }
  }
}
