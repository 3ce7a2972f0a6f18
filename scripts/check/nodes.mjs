// The packed package on each Node that is supported, with an etcd of each release that is: a small program that uses
// its parts. Nodes other than the one that runs come from npm's packages node-<platform>-<arch>, into the cache folder
// of etcd-recipes-etcd.
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, installEtcd, readEtcdVersion } from "../etcd-recipes-etcd.mjs";
import { checkout, command, npm } from "./command.mjs";
import { withPacked } from "./packed.mjs";

/** By major: the newest of it, from the oldest on that is supported. */
const nodes = { 20: "^20.19", 22: "22", 24: "24" };
const etcd34 = "3.4.23";
const program = fileURLToPath(new URL("nodes/use.mjs", import.meta.url));

/** Fails where a Node or an etcd cannot be had, under CI; else says so and goes on without it. */
export function tryOnEachNode() {
  return withPacked(async (folder, tarball) => {
    await command("tar", ["-xzf", tarball], { cwd: folder });
    await mkdir(join(folder, "node_modules"));
    await symlink(join(folder, "package"), join(folder, "node_modules/etcd-recipes"));
    // What a stranger installs beside it, `the packed tarball in a consumer` tries. Here that takes too long.
    await symlink(join(checkout, "node_modules"), join(folder, "package/node_modules"));
    for (const name of ["undici", "undici-7"]) {
      await symlink(join(checkout, "node_modules", name), join(folder, "node_modules", name));
    }
    await copyFile(program, join(folder, "use.mjs"));
    await writeFile(join(folder, "package.json"), "{}");

    const etcds = await had([
      ["etcd 3.4", async () => (await installEtcd({ version: etcd34, log: () => {} })).path],
      ["etcd 3.5", etcd35],
    ]);
    const binaries = await had(
      Object.entries(nodes).map(([major, range]) => [`Node ${major}`, () => node(major, range)]),
    );
    for (const binary of binaries) {
      // At the same time: they mostly wait.
      await Promise.all(etcds.map((ETCD_BIN) => tryOn(binary, { cwd: folder, env: { ...process.env, ETCD_BIN } })));
    }
  });
}

async function tryOn(binary, options) {
  const output = await command(binary, ["use.mjs"], options);
  const [, ran] = /^(Node v\d.*, etcd 3\..*)$/m.exec(output) ?? [];
  if (ran === undefined) throw new Error(`${binary} use.mjs printed:\n${output}`);
  console.log(`check: ${ran}`);
}

/** What could be had. @param wanted pairs of a name and how to get it */
async function had(wanted) {
  const found = [];
  for (const [name, get] of wanted) {
    try {
      found.push(await get());
    } catch (error) {
      const why = `there is no ${name} to try the package on: ${error.message}`;
      if (process.env.CI) throw new Error(why, { cause: error });
      console.log(`check: ${why}`);
    }
  }
  return found;
}

async function etcd35() {
  const given = process.env.ETCD_BIN;
  if (given && (await readEtcdVersion(given))?.startsWith("3.5.")) return given;
  return (await installEtcd({ log: () => {} })).path;
}

/** The path of the Node of this major: the one that runs, or one from the registry. */
async function node(major, range) {
  if (process.versions.node.split(".")[0] === major) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(cacheFolder(), "nodes", major);
  const binary = join(folder, "node_modules", name, "bin/node");
  const isThere = () => command(binary, ["--version"]);
  try {
    await isThere();
  } catch {
    await mkdir(folder, { recursive: true });
    await npm(["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", `${name}@${range}`], {
      cwd: folder,
    });
    await isThere();
  }
  return binary;
}
