import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { CommandError } from "./exit-codes.ts";

export interface GuardOptions {
  /** Added to the environment of the command. */
  readonly env?: Readonly<Record<string, string>>;
  /** Aborts when the command is to end. */
  readonly stop: AbortSignal;
  /** How long it has from SIGTERM to SIGKILL, in milliseconds. */
  readonly graceMs: number;
  /** How long it may go on, in milliseconds; asked several times a second. @default for as long as it likes */
  readonly remainingMs?: (() => number) | undefined;
}

/** How a command ended. */
export interface GuardedEnd {
  /** Its exit code; 128 and the signal's number where a signal ended it; 127 where there is no such command. */
  readonly code: number;
  /** Whether it was ended because it might go on no longer, and not because of `stop`. */
  readonly outOfTime: boolean;
}

const BEAT_MS = 100;

/**
 * Runs a command until it ends, with a guard between it and this process (`guard.ts`).
 *
 * Guaranteed on Linux and macOS: it runs no longer than `remainingMs` said when it was asked last, also when this
 * process, or its whole process group, is killed or frozen, by Ctrl-Z among others; and what it has started ends with
 * it, unless that made a process group of its own. Not guaranteed: that, when the guard itself is killed or frozen.
 */
export function runGuarded(program: readonly string[], options: GuardOptions): Promise<GuardedEnd> {
  const { env, stop, graceMs, remainingMs } = options;
  if (process.platform === "win32")
    throw new CommandError("it needs Linux or macOS, where a whole group of processes gets a signal");
  return new Promise((resolve, reject) => {
    const guard = spawn(process.execPath, [guardFile(), String(graceMs), ...program], {
      stdio: ["inherit", "inherit", "inherit", "pipe", "pipe"],
      env: { ...process.env, ...env },
      // A session of its own: Ctrl-Z would stop it with this process, while the command goes on past the lease.
      detached: true,
    });
    const [, , , orders, news] = guard.stdio as unknown as readonly [null, null, null, Writable, Readable];
    let heard = "";
    news.setEncoding("utf8").on("data", (text: string) => {
      heard += text;
    });
    // It has ended.
    for (const stream of [orders, news]) stream.on("error", () => {});
    const say = (line: string) => orders.write(`${line}\n`);
    const beat = () => remainingMs && say(String(Math.max(0, Math.floor(remainingMs()))));
    beat();
    const beating = setInterval(beat, BEAT_MS);
    const onStop = () => say("stop");
    if (stop.aborted) onStop();
    stop.addEventListener("abort", onStop);
    const over = () => {
      clearInterval(beating);
      stop.removeEventListener("abort", onStop);
    };
    guard.on("error", (error) => {
      over();
      reject(error);
    });
    // Not at its exit: what it wrote before may not have been read by then.
    guard.on("close", (code) => {
      over();
      resolve({ code: code ?? 1, outOfTime: heard.includes("late\n") });
    });
  });
}

function guardFile(): string {
  return fileURLToPath(new URL("./guard.js", import.meta.url));
}
