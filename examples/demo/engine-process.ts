import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { printable } from "../printable.ts";

/** What it has in hand takes less than that. */
const stopLimitMs = 10_000;

/** `leaving`: it was asked to end. `left`: it ended in order. `dead`: it did not, and could not deregister. */
export type ProcessState = "starting" | "running" | "leaving" | "left" | "dead";

/** A line of a program that runs with `--json`. */
export interface EngineEvent {
  readonly event: string;
  readonly [detail: string]: unknown;
}

export interface EngineProcessEvents {
  logged: [event: EngineEvent];
  /** It says something that is no event, or it died unasked: the text is safe to print. */
  complaint: [text: string];
}

/** A program of the engine, seen from the demo that started it. */
export class EngineProcess extends EventEmitter<EngineProcessEvents> {
  readonly id: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #state: ProcessState = "starting";

  /** @param env what it gets besides the demo's own environment */
  constructor(program: "master" | "scheduler", id: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    super();
    this.id = id;
    const path = fileURLToPath(new URL(`../engine/${program}/${program}.js`, import.meta.url));
    this.#process = spawn(process.execPath, [path, "--id", id, "--json", ...args], {
      env: { ...process.env, ...env },
      // By its channel it ends when the demo does, however that ends.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // Ctrl-C in a terminal is for the demo, which asks each program to leave in its turn.
      detached: true,
    });
    const { stdout, stderr } = this.#process;
    if (stdout) createInterface(stdout).on("line", (line) => this.#hear(line));
    if (stderr) createInterface(stderr).on("line", (line) => this.emit("complaint", printable(line)));
    this.#exited = once(this.#process, "exit").then(([code, signal]) => {
      const wasAsked = this.#state === "leaving" || this.#state === "dead";
      this.#state = code === 0 ? "left" : "dead";
      if (!wasAsked) this.emit("complaint", `ended unasked, by ${signal ?? `exit code ${code}`}`);
    });
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** Whether it is there and was not asked to end. */
  get isUp(): boolean {
    return this.#state === "starting" || this.#state === "running";
  }

  /** As a crash would: no chance to deregister. */
  async kill(): Promise<void> {
    if (this.#state === "left") return;
    this.#state = "dead";
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  /** As an operator would: it finishes what it has, deregisters and ends. When that takes too long, it is killed. */
  async stop(): Promise<void> {
    if (this.isUp) this.#state = "leaving";
    this.#process.kill("SIGTERM");
    const limit = setTimeout(() => void this.kill(), stopLimitMs);
    await this.#exited;
    clearTimeout(limit);
  }

  /** For the last moment of this process, which waits for nothing any more. */
  killAtOnce(): void {
    this.#process.kill("SIGKILL");
  }

  #hear(line: string): void {
    const event = parseEvent(line);
    if (event === undefined) {
      this.emit("complaint", printable(line));
      return;
    }
    if (this.#state === "starting" && (event.event === "registered" || event.event === "started")) {
      this.#state = "running";
    }
    this.emit("logged", event);
  }
}

function parseEvent(line: string): EngineEvent | undefined {
  try {
    const parsed = JSON.parse(line);
    return typeof parsed?.event === "string" ? parsed : undefined;
  } catch {
    return undefined;
  }
}
