import { spawnSync } from "node:child_process";
import { homedir } from "node:os";
import { basename, join } from "node:path";

/** A program that runs here, and the environment in which it does. */
export interface Program {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The program on PATH, or the one that scripts/setup.mjs unpacked. Undefined where there is none: then the tests that
 * need it say so, and fail under CI.
 *
 * @param folder where it was unpacked, in the cache
 * @param path within the folder; its last part is what is looked for on PATH
 * @param ask an argument with which it only prints its version
 * @param untested what goes without a test where there is none
 */
export function findProgram(folder: string, path: string, ask: string, untested: string): Program | undefined {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "etcd-recipes", folder);
  const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((machine) => join(cache, "usr/lib", machine));
  const candidates: Program[] = [
    { path: basename(path), env: process.env },
    { path: join(cache, path), env: { ...process.env, LD_LIBRARY_PATH: libraries.join(":") } },
  ];
  const found = candidates.find((program) => spawnSync(program.path, [ask], { env: program.env }).status === 0);
  if (found) return found;
  const missing = `${untested}: there is no ${basename(path)}, npm run setup -- --tests says why`;
  if (process.env.CI) throw new Error(missing);
  console.warn(missing);
  return undefined;
}
