import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Whether every thread of a process is stopped. SIGSTOP does not work at once: on a busy machine the other threads of
 * the process go on, and answer requests, until the one that took the signal gets its turn.
 *
 * @throws when there is no such process
 */
export async function isStopped(pid: number): Promise<boolean> {
  if (process.platform !== "linux") {
    const { stdout } = await run("ps", ["-o", "state=", "-p", String(pid)]);
    return stdout.trim().startsWith("T");
  }
  const threads = await readdir(`/proc/${pid}/task`);
  const states = await Promise.all(threads.map((thread) => readState(`/proc/${pid}/task/${thread}/stat`)));
  return states.every((state) => state === "T");
}

// "<pid> (<name>) <state> …", where the name can hold anything.
async function readState(path: string): Promise<string | undefined> {
  const stat = await readFile(path, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2)[0];
}
