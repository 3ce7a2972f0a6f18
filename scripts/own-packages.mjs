// Packages of this machine's own Debian or Ubuntu release that tests need, unpacked into the cache and not installed:
// apt works with lists of its own, without root. The installer of etcd knows how.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import {
  lastLine,
  listMirrors,
  readDistribution,
  UnavailableError,
  unpackPackages,
  withTemporaryFolder,
  writeAptConfig,
} from "./etcd-recipes-etcd.mjs";

const run = promisify(execFile);

/**
 * @param {string[]} packages come with those of their libraries that are not installed
 * @param {string} place where they are unpacked; what is there already stays
 * @param {(line: string) => void} log called with one line per step
 * @throws {UnavailableError} which says why not
 */
export async function unpackOwnPackages(packages, place, log, env = process.env) {
  const distribution = await readDistribution(env);
  const components = distribution.component === "main" ? "main" : `main ${distribution.component}`;
  await withTemporaryFolder(join(tmpdir(), "etcd-recipes-apt-"), async (temporary) => {
    const environment = { ...env, LC_ALL: "C", APT_CONFIG: await writeAptConfig(temporary, env) };
    const options = { cwd: temporary, env: environment, maxBuffer: 64 * 1024 * 1024 };
    const seen = [];
    for (const mirror of await listMirrors(distribution, env)) {
      try {
        const source = `deb [signed-by=${distribution.keyring}] ${mirror} ${distribution.ownSuite} ${components}\n`;
        await writeFile(join(temporary, "sources.list"), source);
        await run("apt-get", ["update"], options);
        const all = [...packages, ...(await missingLibraries(packages, options))];
        log(`downloading and unpacking ${all.join(", ")} of ${distribution.name} ${distribution.ownSuite}`);
        const unpacked = await unpackPackages(all, join(temporary, "unpacked"), options);
        await moveInto(place, unpacked);
        return;
      } catch (error) {
        seen.push(lastLine(error.stderr || error.message));
      }
    }
    throw new UnavailableError(`no mirror has ${packages.join(", ")} (${seen.join("; ") || "none is configured"})`);
  });
}

/**
 * Theirs, and those of these libraries; what browsers load (`libjs-`) is none. What is installed is newer than what
 * apt's own lists have, or the same.
 */
async function missingLibraries(packages, options) {
  const missing = new Set();
  for (let next = packages; next.length > 0; ) {
    const { stdout } = await run("apt-cache", ["depends", "--important", ...next], options);
    const libraries = [...stdout.matchAll(/Depends: ((?:lib(?!js-)|lua)[a-z0-9.+-]+)$/gm)].map(([, name]) => name);
    const states = await Promise.all(libraries.map((name) => isInstalled(name, options)));
    next = libraries.filter((name, index) => !states[index] && !missing.has(name));
    for (const name of next) missing.add(name);
  }
  return [...missing];
}

async function isInstalled(name, options) {
  try {
    const { stdout } = await run("dpkg-query", ["--status", name], options);
    return stdout.includes("\nStatus: install ok installed\n");
  } catch {
    return false;
  }
}

/** In one step: what was interrupted, or done by two at once, must not be taken for whole. */
async function moveInto(place, from) {
  await mkdir(dirname(place), { recursive: true });
  const whole = await mkdtemp(`${place}-`);
  try {
    // As they are: a link to a library must not lead back into the temporary folder.
    await cp(from, join(whole, "new"), { recursive: true, verbatimSymlinks: true });
    await rename(join(whole, "new"), place);
  } catch (error) {
    // Another one was faster.
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
  } finally {
    await rm(whole, { recursive: true, force: true });
  }
}
