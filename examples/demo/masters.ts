import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Journal, Source } from "./journal.ts";
import { printable } from "./printable.ts";

const program = fileURLToPath(new URL("./master.js", import.meta.url));

/** Draining takes less than a second; a master that etcd does not answer gives up after 5. */
const stopLimitMs = 8_000;

/** `leaving`: it was asked to end. `left`: it ended in order. `dead`: it did not, and could not deregister. */
export type MasterState = "running" | "leaving" | "left" | "dead";

/** A master process, seen from the demo that started it. */
export class MasterProcess {
  readonly id: `master-${number}`;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #state: MasterState = "running";

  constructor(number: number, endpoints: readonly string[], journal: Journal) {
    this.id = `master-${number}`;
    this.#process = spawn(process.execPath, [program, this.id], {
      env: { ...process.env, ETCD_ENDPOINTS: endpoints.join() },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const source: Source = this.id;
    for (const output of [this.#process.stdout, this.#process.stderr]) {
      if (output) createInterface(output).on("line", (line) => journal.tell(source, printable(line)));
    }
    this.#exited = once(this.#process, "exit").then(([code, signal]) => {
      // On Ctrl-C the terminal asks the masters too, so one may leave unasked by us.
      if (code === 0) this.#state = "left";
      if (code === 0 || this.#state === "dead") return;
      this.#state = "dead";
      journal.tell(source, `died unexpectedly, by ${signal ?? `exit code ${code}`}`);
    });
  }

  get state(): MasterState {
    return this.#state;
  }

  /** As a crash would: no chance to deregister. */
  async kill(): Promise<void> {
    this.#state = "dead";
    this.#process.kill("SIGKILL");
    await this.#exited;
  }

  /** As an operator would: it deregisters, finishes what it has and ends. When it takes too long, it is killed. */
  async stop(): Promise<void> {
    if (this.#state === "running") this.#state = "leaving";
    this.#process.kill("SIGTERM");
    const limit = setTimeout(() => this.kill(), stopLimitMs);
    await this.#exited;
    clearTimeout(limit);
  }
}

/** All masters of the demo, those that are gone included. */
export class Masters implements AsyncDisposable {
  readonly all: MasterProcess[] = [];
  readonly #endpoints: readonly string[];
  readonly #journal: Journal;

  constructor(endpoints: readonly string[], journal: Journal) {
    this.#endpoints = endpoints;
    this.#journal = journal;
  }

  start(): MasterProcess {
    const master = new MasterProcess(this.all.length + 1, this.#endpoints, this.#journal);
    this.all.push(master);
    return master;
  }

  get running(): MasterProcess[] {
    return this.all.filter(({ state }) => state === "running");
  }

  /** Lets all that live leave in order; resolves with those. */
  async stop(): Promise<MasterProcess[]> {
    const leaving = this.all.filter(({ state }) => state !== "dead");
    await Promise.all(leaving.map((master) => master.stop()));
    return leaving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
