import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdClient } from "../../recipes/index.ts";
import type { Command, Context } from "../command.ts";
import { prepareDataFolder } from "../data-folder.ts";
import { wholeNumber } from "../duration.ts";
import { EtcdKeeper } from "../etcd-keeper.ts";
import { CommandError } from "../exit-codes.ts";

/** As long as etcd takes on a busy machine. */
const START_MS = 30_000;

/** What ends it: Ctrl-C, `kill`, the end of the terminal, Ctrl-\. */
const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

export const etcdRun: Command = {
  name: "etcd run",
  arguments: [],
  summary: "runs an etcd for development until Ctrl-C; installs it first if need be",
  options: {
    port: { type: "string", value: "N", help: "of clients on 127.0.0.1, 2379 by default; its peers' is the next one" },
    "data-dir": { type: "string", value: "DIR", help: "keep the data there; by default it is gone at the end" },
    verbose: { type: "boolean", help: "print etcd's own log" },
  },
  connects: false,
  async run(context) {
    const { options } = context;
    const port = wholeNumber("--port", (options.port as string | undefined) ?? "2379", 1, 65_534);
    await checkFree(port, port + 1);
    const { path, version } = await etcdOrInstall(context);
    const kept = options["data-dir"] as string | undefined;
    if (kept !== undefined) await prepareDataFolder(kept);
    const folder = kept ?? (await mkdtemp(join(tmpdir(), "etcd-recipes-")));
    const keeper = new EtcdKeeper(kept === undefined ? folder : undefined);
    try {
      await runEtcd(context, { path, version, port, folder, kept: kept !== undefined, keeper });
    } finally {
      if (kept === undefined) await rm(folder, { recursive: true, force: true });
      keeper.dismiss();
    }
  },
};

interface EtcdToRun {
  readonly path: string;
  readonly version: string;
  readonly port: number;
  readonly folder: string;
  /** Whether the folder stays at the end. */
  readonly kept: boolean;
  /** Ends it when this process is gone. */
  readonly keeper: EtcdKeeper;
}

/**
 * Runs an etcd until it ends or a signal comes, which stops it in order. A second signal kills it.
 *
 * @throws CommandError when it ends by itself; why it cannot start
 */
async function runEtcd({ options, output, signal }: Context, etcdToRun: EtcdToRun): Promise<void> {
  const { path, version, port, folder, kept, keeper } = etcdToRun;
  const url = `http://127.0.0.1:${port}`;
  const peers = `http://127.0.0.1:${port + 1}`;
  const flags = [
    `--data-dir=${folder}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=default=${peers}`,
    `--log-level=${options.verbose ? "info" : "error"}`,
  ];
  // A group of its own: Ctrl-C on the terminal is for this process, which then stops etcd in order.
  const etcd = spawn(path, flags, {
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !isFlag(name))),
  });
  if (etcd.pid !== undefined) keeper.watch(etcd.pid);
  const ended = once(etcd, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const over = new AbortController();
  let stopping = false;
  const stop = () => {
    etcd.kill(stopping ? "SIGKILL" : "SIGTERM");
    stopping = true;
    over.abort();
  };
  ended.catch(() => {}).finally(() => over.abort());
  // Not by the context's signal, which aborts once: this process ends only when etcd and its folder are gone.
  for (const name of stopSignals) process.on(name, stop);
  if (signal.aborted) stop();
  try {
    if (await becomesReady(url, over.signal, kept ? folder : undefined)) {
      const text = `etcd ${version} at ${url}${kept ? `, data in ${folder}` : ""}; Ctrl-C stops it`;
      output.say({ endpoint: url, version, pid: etcd.pid }, text);
    }
    const [code, by] = await ended;
    if (stopping) return;
    throw new CommandError(`etcd ended with ${code ?? by}; --verbose prints its log`);
  } finally {
    if (!stopping) stop();
    // One that could not be started has not run.
    await ended.catch(() => {});
    for (const name of stopSignals) process.off(name, stop);
  }
}

/** To etcd each is one, and one that is named twice ends it; but for that which lets it run on a rare processor. */
function isFlag(variable: string): boolean {
  return variable.startsWith("ETCD_") && variable !== "ETCD_UNSUPPORTED_ARCH";
}

async function etcdOrInstall({ output, signal }: Context): Promise<{ path: string; version: string }> {
  // Loaded here: every other command starts sooner without it.
  const { EtcdNotFoundError, findEtcd } = await import("../../testing/index.ts");
  try {
    return await findEtcd();
  } catch (error) {
    // One that was named and cannot be run is not replaced by another.
    if (!(error instanceof EtcdNotFoundError) || process.env.ETCD_BIN) throw error;
  }
  const installer = new URL("../../scripts/etcd-recipes-etcd.mjs", import.meta.url);
  const { installEtcd } = (await import(installer.href)) as {
    installEtcd(options: { log(line: string): void; signal: AbortSignal }): Promise<{ path: string; version: string }>;
  };
  return installEtcd({ log: (line) => output.note(line), signal });
}

/** etcd would say it in a page of log. */
async function checkFree(...ports: number[]): Promise<void> {
  for (const port of ports) {
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (!free) throw new CommandError(`port ${port} of 127.0.0.1 is in use; --port names another`);
  }
}

/**
 * @param folder where others may have put data
 * @returns whether it answers; false when the signal aborted before
 * @throws CommandError when it takes too long
 */
async function becomesReady(endpoints: string, signal: AbortSignal, folder: string | undefined): Promise<boolean> {
  const guess = folder === undefined ? "" : `: does another etcd use ${folder}?`;
  await using client = new EtcdClient({ endpoints, warnUnreachable: false });
  const lastMs = Date.now() + START_MS;
  try {
    while (!(await client.health({ timeoutMs: 1_000, signal })).healthy) {
      if (Date.now() > lastMs)
        throw new CommandError(`etcd does not answer at ${endpoints} after ${START_MS / 1_000} s${guess}`);
      await sleep(50, undefined, { signal });
    }
    return !signal.aborted;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}
