import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { EtcdCluster } from "../../testing/index.ts";
import { run } from "./child.ts";

/**
 * What a cluster of one had at a moment, and how to go back to it: the same ids, and a revision that begins anew from
 * there.
 */
export interface EtcdBackup extends AsyncDisposable {
  /** Ends etcd, puts the state of the backup in the place of its own, and starts it under the same flags. */
  restore(): Promise<void>;
}

/** A copy of the data directory, taken while etcd was stopped: what a snapshot of its disk is. */
export async function copyDisk(cluster: EtcdCluster): Promise<EtcdBackup> {
  const { dataFolder } = await flagsOf(cluster);
  const { folder, dispose } = await newFolder();
  await cluster.member(0).stop();
  await cp(dataFolder, join(folder, "data"), { recursive: true });
  await cluster.restart();
  return {
    async restore() {
      await cluster.kill();
      await rm(dataFolder, { recursive: true });
      await cp(join(folder, "data"), dataFolder, { recursive: true });
      await cluster.restart();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** The programs beside an etcd that save and restore a snapshot; undefined where they are not installed. */
export function snapshotTools(etcd: string): { readonly etcdctl: string; readonly restorer: string } | undefined {
  const etcdctl = join(dirname(etcd), "etcdctl");
  const etcdutl = join(dirname(etcd), "etcdutl");
  if (!existsSync(etcdctl)) return undefined;
  return { etcdctl, restorer: existsSync(etcdutl) ? etcdutl : etcdctl };
}

/** `snapshot save` and, without a bump of the revision, `snapshot restore`. */
export async function saveSnapshot(cluster: EtcdCluster): Promise<EtcdBackup> {
  const { binary, dataFolder, restoreFlags } = await flagsOf(cluster);
  const tools = snapshotTools(binary);
  if (!tools) throw new Error(`there is no etcdctl beside ${binary}`);
  const { folder, dispose } = await newFolder();
  const file = join(folder, "snapshot.db");
  const env = { ...process.env, ETCDCTL_API: "3" };
  await run(tools.etcdctl, ["--endpoints", cluster.member(0).endpoint, "snapshot", "save", file], { env });
  return {
    async restore() {
      await cluster.kill();
      await rm(dataFolder, { recursive: true });
      await run(tools.restorer, ["snapshot", "restore", file, `--data-dir=${dataFolder}`, ...restoreFlags], { env });
      await cluster.restart();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function newFolder() {
  const folder = await mkdtemp(join(tmpdir(), "etcd-backup-"));
  return { folder, dispose: () => rm(folder, { recursive: true, force: true }) };
}

/** How the one member was started. */
async function flagsOf(cluster: EtcdCluster) {
  const { pid } = cluster.member(0);
  const [binary = "", ...flags] = await commandLine(pid as number);
  const flag = (name: string) => flags.find((each) => each.startsWith(`--${name}=`))?.slice(name.length + 3) ?? "";
  const restored = ["name", "initial-cluster", "initial-cluster-token", "initial-advertise-peer-urls"];
  return { binary, dataFolder: flag("data-dir"), restoreFlags: restored.map((name) => `--${name}=${flag(name)}`) };
}

async function commandLine(pid: number): Promise<string[]> {
  const file = `/proc/${pid}/cmdline`;
  if (existsSync(file)) return (await readFile(file, "utf8")).split("\0");
  // No path of a test has a space in it.
  return (await run("ps", ["-ww", "-o", "args=", "-p", `${pid}`])).stdout.trim().split(" ");
}
