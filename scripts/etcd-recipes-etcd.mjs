#!/usr/bin/env node
// Installs etcd and etcdctl for this user, without root and without touching the system: into
// $XDG_CACHE_HOME/etcd-recipes/<version>/, where `etcd-recipes/testing` finds them. Plain JavaScript without
// dependencies: it is published as a bin, and scripts/setup.mjs runs it before anything is installed.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, readdirSync, realpathSync, rmSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

const run = promisify(execFile);
/** The first of 3.5 that has the security fixes of 2026 (SECURITY.md). */
const defaultVersion = "3.5.33";
const oldestVersion = "3.5.0";
const officialReleases = "https://github.com/etcd-io/etcd/releases/download";
const whatToDo =
  "install etcd 3.5 or newer by hand (macOS: brew install etcd) and see that it is on PATH, or set ETCD_BIN to its path; " +
  "a cluster to develop against is started by `docker compose up -d` with the docker-compose.yml of etcd-recipes";

const help = `etcd-recipes-etcd [--version X.Y.Z] [--print] [--force]

Installs etcd and etcdctl into $XDG_CACHE_HOME/etcd-recipes/<version>/ (by default ~/.cache/etcd-recipes/…): the
official release, checked against its SHA256SUMS, or, where that cannot be reached and the machine is Debian or
Ubuntu, the distribution's package. Nothing of the system is touched; root is not needed.

  --version X.Y.Z  exactly this one. Without it, any etcd from ${oldestVersion} on that is in the cache will do, else ${defaultVersion}
  --print          print nothing but the path of the etcd binary on stdout; the rest goes to stderr
  --force          install again what is there already
  --help           this text

ETCD_DOWNLOAD_URL replaces ${officialReleases}`;

/** A failure that the user sees in one sentence, without a stack. */
export class InstallError extends Error {
  name = "InstallError";
}

/** The etcd cannot be had in this way from here; another way may work. */
export class UnavailableError extends InstallError {
  name = "UnavailableError";
}

const temporaryFolders = new Set();

/**
 * Makes sure that there is an etcd in the cache.
 *
 * @param {object} [options]
 * @param {string} [options.version] exactly this one; by default any from 3.5 on that is there, else a recent one
 * @param {boolean} [options.force] installs it again although it is there
 * @param {(line: string) => void} [options.log] called with one line per step
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {AbortSignal} [options.signal] ends it, with all that it has started
 * @returns {Promise<{ path: string, version: string }>}
 * @throws {InstallError} which says what to do instead; the reason of `signal`, or an AbortError
 */
export async function installEtcd({ version, force = false, log = console.log, env = process.env, signal } = {}) {
  if (version !== undefined && !/^\d+\.\d+\.\d+$/.test(version)) {
    throw new InstallError(`a version looks like ${defaultVersion}, got ${JSON.stringify(version)}`);
  }
  const cached = findCachedEtcd(env, version);
  if (cached !== undefined && !force) {
    log(`etcd ${cached.version} is there: ${cached.path}`);
    return cached;
  }
  const cache = cacheFolder(env);
  await mkdir(cache, { recursive: true });
  return withTemporaryFolder(join(cache, ".new-"), async (folder) => {
    const installed = await fetchEtcd(folder, { version, log, env, signal });
    const path = await moveIntoPlace(folder, join(cache, installed), force);
    log(`installed etcd ${installed}: ${path}`);
    return { path, version: installed };
  });
}

/** The folder that holds one folder per version. */
export function cacheFolder(env = process.env) {
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "etcd-recipes");
}

/** The newest etcd from 3.5 on in the cache, or exactly the version asked for; undefined when there is none. */
export function findCachedEtcd(env = process.env, wanted = undefined) {
  const versions = listFolder(cacheFolder(env)).filter((name) =>
    wanted === undefined ? /^\d+\.\d+\.\d+$/.test(name) && isNewEnough(name) : name === wanted,
  );
  const found = versions
    .sort(compareVersions)
    .reverse()
    .map((version) => ({ path: join(cacheFolder(env), version, "etcd"), version }));
  return found.find(({ path }) => isExecutable(path));
}

/** The version that a binary reports; undefined when it is no etcd that runs. */
export async function readEtcdVersion(path) {
  try {
    const { stdout } = await run(path, ["--version"], { timeout: 10_000 });
    return /^etcd Version: (\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

/** Whether a version is one that is used without being named. */
export function isNewEnough(version) {
  return compareVersions(version, oldestVersion) >= 0;
}

/** Puts etcd and etcdctl into `folder`, in one way or the other; resolves with the version. */
async function fetchEtcd(folder, { version, log, env, signal }) {
  try {
    return await fetchRelease(folder, { version: version ?? defaultVersion, log, env, signal });
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    log(error.message);
  }
  try {
    return await fetchPackage(folder, { version, log, env, signal, distribution: await readDistribution(env) });
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    throw new InstallError(`etcd could not be installed: ${error.message}. What you can do: ${whatToDo}`);
  }
}

// ---- The official release ----

async function fetchRelease(folder, { version, log, env, signal }) {
  const archive = releaseArchive(version);
  const base = `${(env.ETCD_DOWNLOAD_URL || officialReleases).replace(/\/+$/, "")}/v${version}`;
  return withTemporaryFolder(join(tmpdir(), "etcd-recipes-release-"), async (temporary) => {
    log(`downloading ${base}/${archive}`);
    const sums = join(temporary, "SHA256SUMS");
    const file = join(temporary, archive);
    await download(`${base}/SHA256SUMS`, sums, { env, signal });
    await download(`${base}/${archive}`, file, { env, signal });
    await verify(file, archive, await readFile(sums, "utf8"));
    log("its SHA-256 is the one in the release's SHA256SUMS; unpacking");
    await run("tar", ["-xf", file, "-C", temporary], { env, signal });
    return adopt(join(temporary, archive.replace(/\.(tar\.gz|zip)$/, "")), folder, version);
  });
}

function releaseArchive(version) {
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch];
  const ending = { linux: "tar.gz", darwin: "zip" }[process.platform];
  if (architecture === undefined || ending === undefined) {
    throw new UnavailableError(`there is no official etcd for ${process.platform} on ${process.arch}`);
  }
  return `etcd-v${version}-${process.platform}-${architecture}.${ending}`;
}

// curl rather than fetch: it honours the proxy variables.
async function download(url, file, { env, signal }) {
  const limits = ["--connect-timeout", "10", "--speed-limit", "1000", "--speed-time", "30"];
  try {
    await run("curl", ["-fsSL", ...limits, "-o", file, url], { env, signal });
  } catch (error) {
    // Ctrl-C ends curl as well, and perhaps first.
    signal?.throwIfAborted();
    const reason = error.code === "ENOENT" ? "there is no curl" : lastLine(error.stderr || error.message);
    throw new UnavailableError(`${url} cannot be downloaded: ${reason}`);
  }
}

async function verify(file, archive, sums) {
  const line = sums.split("\n").find((candidate) => candidate.trim().split(/\s+\*?/)[1] === archive);
  if (line === undefined) throw new InstallError(`refused: the release's SHA256SUMS does not name ${archive}`);
  const expected = line.trim().split(/\s+/)[0];
  const actual = createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
  if (actual !== expected) {
    throw new InstallError(`refused: the SHA-256 of ${archive} is ${actual}, its release says ${expected}`);
  }
}

// ---- The package of Debian or Ubuntu ----

// The suites that may have an etcd, in the order in which they are tried.
const distributions = {
  debian: { name: "Debian", path: "/debian", suites: ["stable", "testing", "sid", "oldstable"], component: "main" },
  ubuntu: { name: "Ubuntu", path: "/ubuntu", suites: ["plucky", "questing", "devel"], component: "universe" },
};

/**
 * Puts etcd and etcdctl out of a distribution's packages into `folder`; resolves with the version.
 *
 * @throws {UnavailableError} when no suite has what is wanted; it says what each of them has
 */
export async function fetchPackage(folder, { version, log, env, signal, distribution }) {
  log(`looking for etcd among the packages of ${distribution.name}, with lists of its own`);
  // An old release of this machine has the version that nothing newer has any more.
  const suites = new Set(version === undefined ? distribution.suites : [distribution.ownSuite, ...distribution.suites]);
  return withTemporaryFolder(join(tmpdir(), "etcd-recipes-apt-"), async (temporary) => {
    const environment = { ...env, LC_ALL: "C", APT_CONFIG: await writeAptConfig(temporary, env) };
    const seen = [];
    for (const mirror of await listMirrors(distribution, env)) {
      for (const suite of suites) {
        try {
          const request = { temporary, folder, mirror, suite, distribution, version, environment, log, signal };
          const installed = await fetchFromSuite(request);
          if (version === undefined && compareVersions(installed, defaultVersion) < 0) {
            log(`etcd ${installed} lacks security fixes that ${defaultVersion} has: it is for tests and development`);
          }
          return installed;
        } catch (error) {
          signal?.throwIfAborted();
          seen.push(`${suite}: ${lastLine(error.stderr || error.message)}`);
        }
      }
    }
    const reasons = seen.join("; ") || "no mirror is configured";
    throw new UnavailableError(`no package of ${distribution.name} will do (${reasons})`);
  });
}

async function fetchFromSuite({ temporary, folder, mirror, suite, distribution, version, environment, log, signal }) {
  const source = `deb [signed-by=${distribution.keyring}] ${mirror} ${suite} ${distribution.component}\n`;
  await writeFile(join(temporary, "sources.list"), source);
  const options = { cwd: temporary, env: environment, maxBuffer: 64 * 1024 * 1024, signal };
  log(`reading the package list of ${mirror} ${suite}`);
  await readPackageList(options, { acceptExpired: version !== undefined, log });
  const { stdout } = await run("apt-cache", ["show", "--no-all-versions", "etcd-server"], options);
  const offered = /^Version: (?:\d+:)?(\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  if (offered === undefined || (version === undefined ? !isNewEnough(offered) : offered !== version)) {
    throw new UnavailableError(`its etcd is ${offered}, wanted is ${version ?? `${oldestVersion} or newer`}`);
  }
  log(`downloading and unpacking etcd-server and etcd-client ${offered}`);
  const unpacked = await unpackPackages(["etcd-server", "etcd-client"], join(temporary, `unpacked-${suite}`), options);
  return adopt(join(unpacked, "usr/bin"), folder, offered);
}

/**
 * A list says until when it is valid, so that a mirror cannot hide newer packages behind an old list. That matters to a
 * caller who takes whatever is newest, and such a caller gets no expired list. It does not matter to one who names an
 * exact version: an old list can at worst offer an older build of it. apt checks the signature of an expired list all
 * the same. A mirror that is a snapshot has only expired lists.
 */
async function readPackageList(options, { acceptExpired, log }) {
  try {
    await run("apt-get", ["update"], options);
  } catch (error) {
    if (!acceptExpired || !isOnlyExpired(error.stderr)) throw error;
    log(`apt says: ${lastLine(error.stderr)}`);
    log("reading it all the same, for this exact version only; apt still checks its signature");
    await run("apt-get", ["update", "--option", "Acquire::Check-Valid-Until=false"], options);
  }
}

/** Whether nothing else is wrong with a package list. */
function isOnlyExpired(stderr) {
  const errors = (stderr ?? "").split("\n").filter((line) => /^[EW]:/.test(line));
  return errors.length > 0 && errors.every((line) => /^E: Release file for .* is expired \(invalid since/.test(line));
}

/** Downloads packages into the folder of `options`, and unpacks them below `target`. */
export async function unpackPackages(packages, target, options) {
  await run("apt-get", ["download", ...packages], options);
  for (const file of listFolder(options.cwd).filter((name) => name.endsWith(".deb"))) {
    await run("dpkg", ["-x", file, target], options);
    await rm(join(options.cwd, file));
  }
  return target;
}

export async function readDistribution(env) {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const id = /^ID="?([a-z]+)"?$/m.exec(release)?.[1] ?? "";
  const ownSuite = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1] ?? "stable";
  const keyring = `/usr/share/keyrings/${id}-archive-keyring.gpg`;
  const tools = await Promise.all([canRun("apt-get", env), canRun("dpkg", env)]);
  if (distributions[id] === undefined || tools.includes(false) || !isReadable(keyring)) {
    throw new UnavailableError("this machine is no Debian or Ubuntu whose packages could be used instead");
  }
  return { keyring, ownSuite, ...distributions[id] };
}

/** The mirrors that this machine takes the distribution from. */
export async function listMirrors({ path }, env) {
  const format = ["--format", "$(REPO_URI) $(COMPONENT)"];
  const { stdout } = await run("apt-get", ["indextargets", ...format, "Created-By: Packages"], { env });
  const mirrors = stdout
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([uri, component]) => component === "main" && !/security|esm/.test(uri))
    .map(([uri]) => uri);
  const looksRight = (uri) => uri.includes(path);
  return [...new Set(mirrors)].sort((a, b) => Number(looksRight(b)) - Number(looksRight(a))).slice(0, 2);
}

/**
 * An apt configuration that reads and writes only in `folder`. It keeps how the machine reaches its mirrors, and how
 * old it lets their lists be.
 */
export async function writeAptConfig(folder, env) {
  const { stdout } = await run("apt-config", ["dump"], { env });
  const keptNames =
    /^Acquire::(https?|ftp|ForceIPv[46]|Retries|Check-Valid-Until|Check-Date|M(ax|in)-ValidTime)(::| )/i;
  const kept = stdout.split("\n").filter((line) => keptNames.test(line));
  // Not the system's own files: their hooks would run after our update.
  const own = {
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": join(folder, "none"),
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": join(folder, "none"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": join(folder, "none"),
    "Dir::State": join(folder, "state"),
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": join(folder, "cache"),
    "Dir::Log": join(folder, "log"),
    "Acquire::Languages": "none",
    "Acquire::http::Timeout": "20",
    "APT::Update::Error-Mode": "any",
  };
  if (process.getuid?.() === 0) own["APT::Sandbox::User"] = "root";
  for (const needed of ["state/lists/partial", "cache/archives/partial", "none", "log"]) {
    await mkdir(join(folder, needed), { recursive: true });
  }
  await writeFile(join(folder, "status"), "");
  const file = join(folder, "apt.conf");
  await writeFile(file, [...kept, ...Object.entries(own).map(([name, value]) => `${name} "${value}";`), ""].join("\n"));
  return file;
}

// ---- Into the cache ----

/** Copies the binaries into `folder`, once they have shown that they run here. */
async function adopt(from, folder, version) {
  const found = await readEtcdVersion(join(from, "etcd"));
  if (found !== version) throw new UnavailableError(`the etcd ${version} there does not run here, or is another one`);
  for (const name of listFolder(from).filter((entry) => /^etcd(ctl|utl)?$/.test(entry))) {
    await copyFile(join(from, name), join(folder, name));
  }
  return version;
}

/** Gives a finished folder its place in one step. When another installer was faster, its folder stays. */
async function moveIntoPlace(folder, place, force) {
  const path = join(place, "etcd");
  const hadPlace = () =>
    rename(folder, place).then(
      () => true,
      (error) => {
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
        return false;
      },
    );
  while (!(await hadPlace())) {
    if (isExecutable(path) && !force) break;
    await withTemporaryFolder(`${folder}-old-`, async (old) => {
      await rename(place, join(old, "replaced")).catch((error) => {
        // Another one that replaces it was faster.
        if (error.code !== "ENOENT") throw error;
      });
    });
  }
  return path;
}

/** Sees that nothing half done stays behind when the program is interrupted. */
export function cleanUpOnSignals() {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true });
      process.exit(1);
    });
  }
}

export async function withTemporaryFolder(prefix, work) {
  const folder = await mkdtemp(prefix);
  temporaryFolders.add(folder);
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    temporaryFolders.delete(folder);
  }
}

async function canRun(tool, env) {
  try {
    await run(tool, ["--version"], { env });
    return true;
  } catch {
    return false;
  }
}

function listFolder(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(path) {
  return isAccessible(path, constants.X_OK);
}

function isReadable(path) {
  return isAccessible(path, constants.R_OK);
}

function isAccessible(path, mode) {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function compareVersions(a, b) {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  const place = left.findIndex((part, index) => part !== right[index]);
  return place === -1 ? 0 : left[place] - right[place];
}

export function lastLine(text) {
  return text.trim().split("\n").at(-1);
}

// ---- As a command ----

async function main() {
  const { values } = parseArgs({
    options: {
      version: { type: "string" },
      print: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const { path } = await installEtcd({
    version: values.version?.replace(/^v/, ""),
    force: values.force,
    log: values.print ? console.error : console.log,
  });
  if (values.print) console.log(path);
}

/** Whether this file is the program, also when it is called through the link in node_modules/.bin. */
function isProgram() {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
}

if (isProgram()) {
  cleanUpOnSignals();
  main().catch((error) => {
    const known = error instanceof InstallError || error.code?.startsWith("ERR_PARSE_ARGS");
    console.error(known ? error.message : error);
    process.exitCode = 1;
  });
}
