import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { CacheExpirer } from "etcd-recipes";
import type { Log } from "../shared/events.ts";
import { keys } from "../shared/keys.ts";
import { isFolderName } from "../tasks/task.ts";

/**
 * The build caches on this machine's disk: a folder for each project.
 *
 * All masters share one key for a project, `cache/<project>`: a build anywhere keeps it alive, and when none has for
 * the TTL, every machine deletes its own folder. A machine that was off meanwhile does so at its next start (`known`).
 * So a folder can live longer on this disk than it was used here; where disks are small, give each machine a prefix of
 * its own, `cache/<machine>/`.
 */
export class Caches implements AsyncDisposable {
  readonly #dir: string;
  readonly #expirer: CacheExpirer;

  private constructor(dir: string, ttlSeconds: number, log: Log) {
    this.#dir = dir;
    this.#expirer = new CacheExpirer(keys.caches, {
      ttlSeconds,
      onExpire: (project) => removeFolder(dir, project),
      known: () => readdir(dir),
    });
    this.#expirer
      .on("cleaned", (project, reason) => log("cache-cleaned", { project, reason }))
      .on("warning", (error) => log("warning", { reason: error.message }))
      .on("failed", (error) => log("warning", { reason: `caches do not expire any more: ${error.message}` }));
  }

  static async open(dir: string, ttlSeconds: number, log: Log): Promise<Caches> {
    await mkdir(dir, { recursive: true });
    return new Caches(dir, ttlSeconds, log);
  }

  /** The folder of a project, which stays for the TTL from now on. Its files may be written only after this. */
  async use(project: string): Promise<{ folder: string; isNew: boolean }> {
    await this.#expirer.track(project);
    const folder = join(this.#dir, project);
    const isNew = !existsSync(folder);
    await mkdir(folder, { recursive: true });
    return { folder, isNew };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#expirer.close();
  }
}

/** A key in etcd can be any text: only a folder of this program is removed. */
async function removeFolder(dir: string, project: string): Promise<void> {
  if (isFolderName(project)) await rm(join(dir, project), { recursive: true, force: true });
}
