// Runs a command for `elect`, `lock` and `register`, in a process of its own between the two: it sees to it that the
// command ends in time, also when the process above it is killed or frozen. It has a session of its own, so a terminal
// sends it nothing: Ctrl-Z stops the process above, but not the guard, while the command goes on.
//
// What stands on descriptor 3 is how long the command may go on, in milliseconds, a line for each look; `stop` asks it
// to end; the end of the stream means that the process above is gone. On descriptor 4 the guard writes `late` when it
// ends the command for want of time: the exit code does not say so. That is another one, for what is written to a
// process that reads no more breaks what it could still read.
//
//   running ──little time left, stop, stream ended──▶ SIGTERM ──▶ out of time, or the grace is over ──▶ SIGKILL
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { constants, uptime } from "node:os";
import { createInterface } from "node:readline";
import { guardClock } from "./guard-clock.ts";

const LOOK_EVERY_MS = 50;

const graceMs = Number(process.argv[2]);
const [file = "", ...args] = process.argv.slice(3);
const nowMs = guardClock({
  platform: process.platform,
  monotonicMs: () => performance.now(),
  uptimeSeconds: uptime,
});

let deadlineMs = Number.POSITIVE_INFINITY;
let killAtMs = Number.POSITIVE_INFINITY;
const news = new Socket({ fd: 4, readable: false });
// The process above is gone.
news.on("error", () => {});
// A group of its own: what the command has started ends with it.
const child = spawn(file, args, { stdio: "inherit", detached: true });

function signal(name: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, name);
  } catch {
    // It has ended.
  }
}

function terminate(): void {
  if (killAtMs !== Number.POSITIVE_INFINITY) return;
  killAtMs = nowMs() + graceMs;
  signal("SIGTERM");
}

const look = setInterval(() => {
  const now = nowMs();
  if (now >= deadlineMs - graceMs && killAtMs === Number.POSITIVE_INFINITY) {
    news.write("late\n");
    terminate();
  }
  if (now >= Math.min(deadlineMs, killAtMs)) signal("SIGKILL");
}, LOOK_EVERY_MS);

// Not a stream of files: a thread that waits for the next line would hold up the exit.
createInterface({ input: new Socket({ fd: 3 }) })
  .on("line", (line) => {
    if (line === "stop") terminate();
    else deadlineMs = nowMs() + Number(line);
  })
  .on("close", terminate)
  .on("error", terminate);

// Who sends them to every process of a service, as systemd does, sends them to the process above, too: it says what to
// do.
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => {});

child.on("error", (error: NodeJS.ErrnoException) => {
  const problem = error.code === "ENOENT" ? "there is no such command" : error.message;
  try {
    writeSync(2, `etcd-recipes: ${file}: ${problem}\n`);
  } catch {
    // What read it has gone. The exit code says it, too.
  }
  process.exit(error.code === "ENOENT" ? 127 : 126);
});
child.on("exit", (code, by) => {
  clearInterval(look);
  // What it has started and left behind has no more right to run than it had.
  signal("SIGKILL");
  process.exit(code ?? 128 + (by ? constants.signals[by] : 0));
});
