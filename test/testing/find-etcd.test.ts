import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { compareVersions, parseEtcdVersion } from "../../testing/etcd-version.ts";
import { EtcdNotFoundError, findEtcd, startEtcd } from "../../testing/index.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "find-etcd-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Puts something that calls itself etcd into a folder; returns its path. */
async function place(where: string, version: string): Promise<string> {
  const path = join(folder, where, "etcd");
  await mkdir(join(folder, where), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "etcd Version: ${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

function environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { PATH: ["bin1", "bin2"].map((name) => join(folder, name)).join(":"), HOME: join(folder, "home"), ...extra };
}

describe("the etcd that is found", () => {
  test("is the one named by ETCD_BIN before all others, however old", async () => {
    await place("bin1", "3.5.30");
    const path = await place("named", "3.4.23");
    expect(await findEtcd(environment({ ETCD_BIN: path }))).toEqual({ path, version: "3.4.23" });
  });

  test("is the one on PATH before the cache", async () => {
    await place("home/.cache/etcd-recipes/3.6.1", "3.6.1");
    const path = await place("bin2", "3.5.9");
    expect(await findEtcd(environment())).toEqual({ path, version: "3.5.9" });
  });

  test("is the one in the cache when the one on PATH is older than 3.5", async () => {
    await place("bin1", "3.4.23");
    const path = await place("home/.cache/etcd-recipes/3.5.9", "3.5.9");
    expect(await findEtcd(environment())).toEqual({ path, version: "3.5.9" });
  });

  test("is an old one on PATH when there is no other", async () => {
    const path = await place("bin1", "3.4.23");
    await place("home/.cache/etcd-recipes/3.4.30", "3.4.30");
    expect(await findEtcd(environment())).toEqual({ path, version: "3.4.23" });
  });

  test("is the newest in the cache, by number", async () => {
    await place("cache/etcd-recipes/3.5.9", "3.5.9");
    await place("cache/etcd-recipes/.new-3.7.0", "3.7.0");
    await mkdir(join(folder, "cache/etcd-recipes/3.9.0"));
    const path = await place("cache/etcd-recipes/3.5.21", "3.5.21");
    expect(await findEtcd(environment({ XDG_CACHE_HOME: join(folder, "cache") }))).toEqual({ path, version: "3.5.21" });
  });
});

describe("what is said when there is none", () => {
  test("names the command that installs one", async () => {
    const error = await findEtcd(environment()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(EtcdNotFoundError);
    expect(error).toMatchObject({
      code: "ETCD_BINARY_NOT_FOUND",
      message: expect.stringContaining("npx etcd-recipes-etcd"),
    });
  });

  test("an ETCD_BIN that is missing, not executable or no etcd is an error, not passed over", async () => {
    await place("bin1", "3.5.30");
    const unexecutable = await place("unexecutable", "3.5.30");
    await chmod(unexecutable, 0o644);
    for (const path of [join(folder, "missing"), unexecutable, "/bin/echo"]) {
      await expect(findEtcd(environment({ ETCD_BIN: path }))).rejects.toThrow(`ETCD_BIN is "${path}"`);
    }
  });

  test("startEtcd says so of the option binary too", async () => {
    await expect(startEtcd({ binary: "/no/etcd" })).rejects.toThrow(EtcdNotFoundError);
  });
});

test("the version is read out of what etcd prints", () => {
  expect(parseEtcdVersion("etcd Version: 3.5.16\nGit SHA: bb6f9e0\nGo Version: go1.22.7\n")).toBe("3.5.16");
  expect(parseEtcdVersion("etcd Version: 3.6.0-rc.4\nGit SHA: 1")).toBe("3.6.0-rc.4");
  expect(parseEtcdVersion("redis 7")).toBeUndefined();
});

test("versions are ordered by their numbers", () => {
  const ordered = ["3.4.23", "3.5.9", "3.5.16", "3.6.0-rc.4", "3.10.0"];
  expect(ordered.toReversed().sort(compareVersions)).toEqual(ordered);
});
