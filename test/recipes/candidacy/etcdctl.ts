import type { ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { findEtcd } from "../../../testing/index.ts";
import { startChild } from "../../support/child.ts";

/** A running etcdctl: a foreign client, on the same keys. It ends with its scope. */
export interface Etcdctl extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What it has printed so far, line by line. */
  readonly lines: readonly string[];
  /** Ends it as Ctrl-C does: it gives up what it has, cleanly. */
  interrupt(): Promise<void>;
}

/**
 * All that etcdctl gets of the surroundings, so that none of it points at another etcd. With one thread and no collector
 * a call takes a quarter less CPU.
 */
export const etcdctlEnv = { PATH: process.env.PATH, ETCDCTL_API: "3", GOMAXPROCS: "1", GOGC: "off" };

/** Beside the etcd that the tests use, else on PATH. */
export async function findEtcdctl(): Promise<string> {
  const { path } = await findEtcd();
  const folders = [dirname(path), ...(process.env.PATH ?? "").split(delimiter)];
  const found = folders.map((folder) => join(folder, "etcdctl")).find(isExecutable);
  if (found === undefined)
    throw new Error(`there is no etcdctl beside ${path} and none on PATH: run \`npm run setup\``);
  return found;
}

export async function etcdctl(endpoint: string, ...args: readonly string[]): Promise<Etcdctl> {
  const env = { ...process.env, ETCDCTL_API: "3" };
  const child = startChild(await findEtcdctl(), ["--endpoints", endpoint, ...args], { env });
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await child.ended;
  };
  const { process: running, lines } = child;
  return { process: running, lines, interrupt: () => end("SIGINT"), [Symbol.asyncDispose]: () => end("SIGKILL") };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
