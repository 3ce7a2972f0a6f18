// Makes the clone ready for `npm test` and `npm run demo`, which run it themselves: a Node that is new enough, the
// dependencies, an etcd. Writes only inside the clone and the cache of etcd-recipes-etcd. Imports nothing but Node's
// own modules and the installer: it runs before there are any dependencies. With --tests also what only tests need.
import { spawnSync } from "node:child_process";
import { existsSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  cacheFolder,
  cleanUpOnSignals,
  findCachedEtcd,
  InstallError,
  installEtcd,
  isNewEnough,
  readEtcdVersion,
} from "./etcd-recipes-etcd.mjs";
import { unpackOwnPackages } from "./own-packages.mjs";
import { ensurePrograms, monitoring, proxies, redis, terminal } from "./test-programs.mjs";

const clone = fileURLToPath(new URL("..", import.meta.url));

function say(line) {
  console.log(`setup: ${line}`);
}

class SetupError extends Error {}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new SetupError(`Node 20.19 or newer is needed, this is ${process.version}: get one from https://nodejs.org`);
  }
  say(`Node ${process.version}`);
}

function installDependencies() {
  const lock = `${clone}package-lock.json`;
  const installed = `${clone}node_modules/.package-lock.json`;
  if (changedAt(installed) >= changedAt(lock)) {
    say("dependencies are installed");
    return;
  }
  say("installing dependencies: npm ci --include=dev");
  const options = ["ci", "--include=dev", "--no-audit", "--no-fund"];
  const { status, error } = spawnSync("npm", options, { cwd: clone, stdio: "inherit" });
  if (status !== 0) throw new SetupError(`npm ci failed: ${error?.message ?? `exit code ${status}`}`);
  // A lock file that is dated in the future must not lead to a new installation every time. One second more than its
  // time, because setting a time rounds it.
  const afterLock = new Date(changedAt(lock) + 1_000);
  if (changedAt(installed) < changedAt(lock)) utimesSync(installed, afterLock, afterLock);
}

function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The same order as `findEtcd()` of etcd-recipes/testing, but an old etcd on PATH is not good enough. */
async function ensureEtcd() {
  if (process.env.ETCD_BIN) {
    const path = process.env.ETCD_BIN;
    const version = await readEtcdVersion(path);
    if (version === undefined) throw new SetupError(`ETCD_BIN is "${path}", which is not an etcd that can be run`);
    say(`etcd ${version} by ETCD_BIN`);
    return;
  }
  const onPath = await readEtcdVersion("etcd");
  if (onPath !== undefined && isNewEnough(onPath)) {
    say(`etcd ${onPath} on PATH`);
    return;
  }
  if (onPath !== undefined) say(`the etcd on PATH is ${onPath}, too old; using one of our own`);
  const cached = findCachedEtcd();
  if (cached === undefined) await installEtcd({ log: say });
  else say(`etcd ${cached.version} in ${cached.path}`);
}

/** With it tests move the wall clock of a process. Where it cannot be had they say so, and fail under CI. */
async function ensureFaketime() {
  const cached = join(cacheFolder(), "libfaketime");
  const places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
  const system = places.map((folder) => join(folder, "faketime")).find((folder) => existsSync(folder));
  if (system ?? existsSync(cached)) {
    say(`libfaketime in ${system ?? cached}`);
    return;
  }
  try {
    await unpackOwnPackages(["libfaketime"], cached, say);
  } catch (error) {
    // Nothing else needs it.
    say(`no libfaketime: ${error.message}`);
  }
}

try {
  cleanUpOnSignals();
  checkNode();
  installDependencies();
  await ensureEtcd();
  if (process.argv.includes("--tests")) {
    await ensureFaketime();
    await ensurePrograms(redis, say);
    await ensurePrograms(proxies, say);
    await ensurePrograms(terminal, say);
    await ensurePrograms(monitoring, say);
  }
} catch (error) {
  console.error(error instanceof SetupError || error instanceof InstallError ? `setup: ${error.message}` : error);
  process.exitCode = 1;
}
