import { cp, mkdir, mkdtemp, readFile, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../support/child.ts";
import { pathOf } from "../support/path-of.ts";

/** A clone of nothing but the scripts, with an `npm` and an `etcd` that only pretend. */
let clone: string;

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), "setup-"));
  await cp(fileURLToPath(new URL("../../scripts", import.meta.url)), join(clone, "scripts"), { recursive: true });
  await writeFile(join(clone, "package-lock.json"), "{}");
  await pathOf(join(clone, "bin"), ["mkdir"]);
  await pretend("npm", `echo "$@" >> npm-calls; mkdir -p node_modules; echo {} > node_modules/.package-lock.json`);
  await pretend("etcd", "echo 'etcd Version: 3.5.16'");
  await pretend("redis-server", "echo 'Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64'");
  // As they do: one of them says it where errors go.
  await pretend("nginx", "echo 'nginx version: nginx/1.22.1' >&2");
  await pretend("nghttpx", "echo 'nghttpx nghttp2/1.52.0'");
});
afterEach(() => rm(clone, { recursive: true }));

async function pretend(name: string, script: string): Promise<string> {
  const path = join(clone, "bin", name);
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is pretended is all that there is on PATH: the machine may have them or not. */
async function setup(extra: Record<string, string> = {}, args: readonly string[] = []): Promise<Outcome> {
  const env = { PATH: join(clone, "bin"), XDG_CACHE_HOME: join(clone, "cache"), ...extra };
  try {
    return { code: 0, ...(await run(process.execPath, [join(clone, "scripts/setup.mjs"), ...args], { env })) };
  } catch (error) {
    return error as Outcome & Error;
  }
}

const npmCalls = () => readFile(join(clone, "npm-calls"), "utf8").catch(() => "");

test("installs the dependencies of a fresh clone, and not a second time", async () => {
  expect((await setup()).code).toBe(0);
  expect(await npmCalls()).toBe("ci --include=dev --no-audit --no-fund\n");
  const second = await setup({ CI: "true" });
  expect(second).toMatchObject({ code: 0, stderr: "" });
  expect(second.stdout).toContain("dependencies are installed");
  expect((await npmCalls()).split("\n")).toHaveLength(2);
});

test("installs them again when the lock file is newer, once, even if it is dated in the future", async () => {
  await setup();
  const tomorrow = new Date(Date.now() + 24 * 3600 * 1000);
  await utimes(join(clone, "package-lock.json"), tomorrow, tomorrow);
  await setup();
  await setup();
  expect(await npmCalls()).toBe("ci --include=dev --no-audit --no-fund\n".repeat(2));
});

test("an npm that fails fails it", async () => {
  await pretend("npm", "exit 7");
  expect(await setup()).toMatchObject({ code: 1, stderr: expect.stringContaining("npm ci failed: exit code 7") });
});

test("takes an etcd on PATH from 3.5 on, and any that ETCD_BIN names", async () => {
  expect((await setup()).stdout).toContain("setup: etcd 3.5.16 on PATH");
  const old = await pretend("old-etcd", "echo 'etcd Version: 3.4.23'");
  expect((await setup({ ETCD_BIN: old })).stdout).toContain("setup: etcd 3.4.23 by ETCD_BIN");
});

test("takes one of its own when the etcd on PATH is older than 3.5", async () => {
  await pretend("etcd", "echo 'etcd Version: 3.4.23'");
  const cached = join(clone, "cache/etcd-recipes/3.5.21/etcd");
  await mkdir(join(cached, ".."), { recursive: true });
  await cp(join(clone, "bin/etcd"), cached);
  const { code, stdout } = await setup();
  expect(code).toBe(0);
  expect(stdout).toContain("3.4.23, too old");
  expect(stdout).toContain(`setup: etcd 3.5.21 in ${cached}`);
});

test("an ETCD_BIN that does not run is reported", async () => {
  const outcome = await setup({ ETCD_BIN: "/no/etcd" });
  expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('"/no/etcd", which is not an etcd') });
});

test("for tests it wants libfaketime: the system's, or what it has unpacked before", async () => {
  await mkdir(join(clone, "cache/etcd-recipes/libfaketime"), { recursive: true });
  expect(await setup({}, ["--tests"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/setup: libfaketime in \//),
  });
  expect(await setup()).toMatchObject({ code: 0, stdout: expect.not.stringContaining("libfaketime") });
});

test("for tests it wants a redis-server: the one on PATH, or what it has unpacked before", async () => {
  await mkdir(join(clone, "cache/etcd-recipes/libfaketime"), { recursive: true });
  expect((await setup({}, ["--tests"])).stdout).toContain("setup: Redis 7.2.4 (redis-server)");
  expect((await setup()).stdout).not.toContain("Redis");

  const unpacked = join(clone, "cache/etcd-recipes/redis/usr/bin/redis-server");
  await mkdir(join(unpacked, ".."), { recursive: true });
  // It finds its libraries only where it was unpacked.
  const script = 'test -n "$LD_LIBRARY_PATH" && echo "Redis server v=7.0.15"';
  await rename(await pretend("redis-server", script), unpacked);
  expect(await setup({}, ["--tests"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`setup: Redis 7.0.15 (${unpacked})`),
  });
});

test("for tests it wants the proxies, each on PATH or unpacked before", async () => {
  await mkdir(join(clone, "cache/etcd-recipes/libfaketime"), { recursive: true });
  const unpacked = join(clone, "cache/etcd-recipes/proxies/usr/sbin/nginx");
  await mkdir(join(unpacked, ".."), { recursive: true });
  await rename(join(clone, "bin/nginx"), unpacked);
  const { code, stdout } = await setup({}, ["--tests"]);
  expect(code).toBe(0);
  expect(stdout).toContain(`setup: nginx 1.22.1 (${unpacked})`);
  expect(stdout).toContain("setup: nghttpx 1.52.0 (nghttpx)");
  expect((await setup()).stdout).not.toContain("nghttpx");
});

test("what cannot be had is reported, each by its name, and fails nothing", async () => {
  await mkdir(join(clone, "cache/etcd-recipes/libfaketime"), { recursive: true });
  for (const name of ["redis-server", "nginx", "nghttpx"]) await rm(join(clone, "bin", name));
  // There is no apt-get on this PATH.
  const { code, stdout } = await setup({}, ["--tests"]);
  expect(code).toBe(0);
  for (const name of ["Redis", "nginx", "nghttpx"])
    expect(stdout).toMatch(new RegExp(`setup: no ${name}: this machine is no`));
});

test("what was unpacked and does not run is reported, and fails nothing", async () => {
  await mkdir(join(clone, "cache/etcd-recipes/libfaketime"), { recursive: true });
  await rm(join(clone, "bin/redis-server"));
  await mkdir(join(clone, "cache/etcd-recipes/redis"), { recursive: true });
  expect(await setup({}, ["--tests"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/setup: no Redis: what is in .* does not run here; install redis-server/),
  });
});
