// Programs that only tests need: the one on PATH, or a package of Debian or Ubuntu that is unpacked into the cache and
// finds its libraries there. Where one cannot be had, its tests say so, and fail under CI. test/support/find-program.ts
// looks in the same places.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./etcd-recipes-etcd.mjs";
import { unpackOwnPackages } from "./own-packages.mjs";

/** For the tests of the engine. The server is a link to a program of the tools. */
export const redis = {
  folder: "redis",
  packages: ["redis-server", "redis-tools"],
  programs: [{ name: "Redis", path: "usr/bin/redis-server", ask: "--version", version: /v=([\d.]+)/ }],
};

/** What stands between a client and etcd. */
export const proxies = {
  folder: "proxies",
  packages: ["nginx", "nghttp2-proxy"],
  programs: [
    { name: "nginx", path: "usr/sbin/nginx", ask: "-v", version: /nginx\/([\d.]+)/ },
    { name: "nghttpx", path: "usr/sbin/nghttpx", ask: "--version", version: /nghttp2\/([\d.]+)/ },
  ],
};

/** What scrapes metrics. */
export const monitoring = {
  folder: "prometheus",
  packages: ["prometheus"],
  programs: [{ name: "Prometheus", path: "usr/bin/prometheus", ask: "--version", version: /version ([\d.]+)/ }],
};

/** A terminal, for what the CLI draws. */
export const terminal = {
  folder: "terminal",
  packages: ["tmux"],
  programs: [{ name: "tmux", path: "usr/bin/tmux", ask: "-V", version: /tmux ([\d.]+)/ }],
};

/** @param {(line: string) => void} log called with one line for each program, and one per step */
export async function ensurePrograms({ folder, packages, programs }, log) {
  const cached = join(cacheFolder(), folder);
  let missing = programs.filter((program) => !report(program, cached, log));
  if (missing.length === 0) return;
  try {
    if (!existsSync(cached)) {
      await unpackOwnPackages(packages, cached, log);
      missing = missing.filter((program) => !report(program, cached, log));
    }
    for (const { name, path } of missing) {
      log(`no ${name}: what is in ${cached} does not run here; install ${path.split("/").at(-1)}`);
    }
  } catch (error) {
    // Nothing else needs them.
    for (const { name } of missing) log(`no ${name}: ${error.message}`);
  }
}

/** Says which one there is; returns whether there is any. */
function report({ name, path, ask, version }, cached, log) {
  const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((machine) => join(cached, "usr/lib", machine));
  const unpacked = { LD_LIBRARY_PATH: libraries.join(":") };
  for (const [program, env] of [
    [path.split("/").at(-1), {}],
    [join(cached, path), unpacked],
  ]) {
    const { stdout, stderr } = spawnSync(program, [ask], { encoding: "utf8", env: { ...process.env, ...env } });
    const found = version.exec(`${stdout ?? ""}${stderr ?? ""}`)?.[1];
    if (found === undefined) continue;
    log(`${name} ${found} (${program})`);
    return true;
  }
  return false;
}
