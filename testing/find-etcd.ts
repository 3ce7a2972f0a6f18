import { access, constants, readdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { EtcdNotFoundError } from "./etcd-not-found-error.ts";
import { compareVersions, oldestPreferredVersion, readEtcdVersion } from "./etcd-version.ts";

/** An etcd binary on this machine. */
export interface EtcdBinary {
  readonly path: string;
  /** As it prints it, such as "3.5.21". */
  readonly version: string;
}

/**
 * Finds the etcd to use; the first of these:
 *
 * 1. `ETCD_BIN`, whatever its version
 * 2. `etcd` on `PATH`, if it is 3.5 or newer
 * 3. the newest 3.5 or newer in the installer's cache, `$XDG_CACHE_HOME/etcd-recipes/<version>/etcd` (by default
 *    `~/.cache/etcd-recipes/…`)
 * 4. `etcd` on `PATH`, although it is older
 *
 * @param env where the variables are read; by default this process's
 * @throws EtcdNotFoundError when there is none, or when `ETCD_BIN` is set and is not an etcd that runs
 */
export async function findEtcd(env: Readonly<NodeJS.ProcessEnv> = process.env): Promise<EtcdBinary> {
  if (env.ETCD_BIN) return namedEtcd(env.ETCD_BIN, "ETCD_BIN");
  const onPath = await etcdOnPath(env.PATH ?? "");
  if (onPath !== undefined && isPreferred(onPath.version)) return onPath;
  const found = (await etcdInCache(env)) ?? onPath;
  if (found === undefined) throw new EtcdNotFoundError("there is no etcd on PATH and none in the cache");
  return found;
}

/**
 * The etcd at a given path.
 *
 * @param origin who named it, for the error
 * @throws EtcdNotFoundError when it is not an etcd that runs
 */
export async function namedEtcd(path: string, origin: string): Promise<EtcdBinary> {
  try {
    return { path, version: await readEtcdVersion(path) };
  } catch (cause) {
    throw new EtcdNotFoundError(`${origin} is "${path}", which is not an etcd that can be run`, { cause });
  }
}

async function etcdOnPath(searchPath: string): Promise<EtcdBinary | undefined> {
  for (const folder of searchPath.split(delimiter).filter((entry) => entry !== "")) {
    const path = join(folder, "etcd");
    if (!(await isExecutable(path))) continue;
    const version = await readEtcdVersion(path).catch(() => undefined);
    if (version !== undefined) return { path, version };
  }
  return undefined;
}

async function etcdInCache(env: Readonly<NodeJS.ProcessEnv>): Promise<EtcdBinary | undefined> {
  const cache = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "etcd-recipes");
  const entries = await readdir(cache).catch(() => []);
  const versions = entries.filter((name) => /^\d+\.\d+\.\d+$/.test(name) && isPreferred(name));
  for (const version of versions.sort(compareVersions).reverse()) {
    const path = join(cache, version, "etcd");
    if (await isExecutable(path)) return { path, version };
  }
  return undefined;
}

function isPreferred(version: string): boolean {
  return compareVersions(version, oldestPreferredVersion) >= 0;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
