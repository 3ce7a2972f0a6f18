import { type ChildProcess, spawn } from "node:child_process";

/** How long etcd may take to end in order. */
const STOP_MS = 10_000;

/**
 * A process of its own that ends the etcd of `etcd run` and removes its temporary folder when this process is gone: by
 * SIGKILL, or because what read its output has gone. Nothing else can do that then.
 *
 * Not guaranteed: that, when the keeper itself is killed first, or cannot be started.
 */
export class EtcdKeeper {
  readonly #process: ChildProcess;

  /** @param folder removed when etcd has ended; undefined: its data stays */
  constructor(folder: string | undefined) {
    const args = ["-e", `(${keepEtcd})()`, String(STOP_MS), folder ?? ""];
    this.#process = spawn(process.execPath, args, {
      // Its input ends with this process, however that ends.
      stdio: ["pipe", "ignore", "ignore"],
      // A session of its own: Ctrl-C and the end of the terminal are not for it.
      detached: true,
      // Options for Node are meant for this process.
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    // All else goes on without it.
    this.#process.on("error", () => {});
    this.#process.stdin?.on("error", () => {});
  }

  /** Begins to watch over an etcd. */
  watch(pid: number): void {
    this.#process.stdin?.write(`${pid}\n`);
  }

  /** To be called when etcd and its folder are gone. */
  dismiss(): void {
    this.#process.kill("SIGKILL");
  }
}

/** The program of the keeper. It is sent to `node -e` as text: it must use nothing from outside its own body. */
function keepEtcd(): void {
  const { rmSync } = process.getBuiltinModule("node:fs");
  const [, stopMs, folder] = process.argv;
  process.title = "etcd-recipes keeper of etcd run";
  let input = "";
  const send = (signal: NodeJS.Signals | 0) => {
    const pid = Number(input);
    try {
      return pid > 0 && process.kill(pid, signal);
    } catch {
      // It has ended.
      return false;
    }
  };
  const end = () => {
    const lastMs = performance.now() + Number(stopMs);
    send("SIGTERM");
    const look = setInterval(() => {
      if (send(0) && performance.now() < lastMs) return;
      clearInterval(look);
      send("SIGKILL");
      if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    }, 50);
  };
  process.stdin
    .setEncoding("utf8")
    .on("end", end)
    .on("data", (text) => {
      input += text;
    });
  // A service's end sends them to all of its processes. The end of the input says when it is time.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) process.on(name, () => {});
}
