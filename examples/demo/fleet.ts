import { rmSync } from "node:fs";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { printable } from "../printable.ts";
import type { EngineProcess } from "./engine-process.ts";
import type { Journal } from "./journal.ts";
import { MasterProcess } from "./master-process.ts";
import { worthTelling } from "./news.ts";
import { SchedulerProcess } from "./scheduler-process.ts";

/** Of those that are gone only so many are kept: `--forever` ends one in every round. */
const mostGone = 3;

/** The masters and schedulers of the demo, and the folder where the masters work. */
export class Fleet implements AsyncDisposable {
  readonly masters: MasterProcess[] = [];
  readonly schedulers: SchedulerProcess[] = [];
  /** How often a task was begun again: its master or its scheduler was gone. */
  retried = 0;
  readonly #root: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #journal: Journal;
  readonly #begun = new Set<string>();
  readonly #atExit = () => this.#clear();
  #masterCount = 0;
  #schedulerCount = 0;

  private constructor(root: string, env: NodeJS.ProcessEnv, journal: Journal) {
    this.#root = root;
    this.#env = env;
    this.#journal = journal;
    // Also when an exception or a second Ctrl-C ends the process.
    process.on("exit", this.#atExit);
  }

  /** @param env where the programs find etcd and the tasks */
  static async open(env: NodeJS.ProcessEnv, journal: Journal): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), "etcd-recipes-demo-")), env, journal);
  }

  startMaster(): MasterProcess {
    const master = new MasterProcess(++this.#masterCount, this.#root, this.#env);
    master.on("logged", ({ event, task }) => {
      if (event !== "task-started" || typeof task !== "string") return;
      if (this.#begun.has(task)) this.retried++;
      this.#begun.add(task);
    });
    return this.#add(this.masters, master);
  }

  startScheduler(): SchedulerProcess {
    return this.#add(this.schedulers, new SchedulerProcess(++this.#schedulerCount, this.#env));
  }

  get leader(): SchedulerProcess | undefined {
    return this.schedulers.find(({ leads }) => leads);
  }

  /** Schedulers first: the one that leads has its masters finish what they have. */
  async stop(): Promise<void> {
    for (const group of [this.schedulers, this.masters]) {
      await Promise.all(group.filter(isThere).map((it) => it.stop()));
    }
  }

  /** What the masters noted of what they did, task by task, also those that are dead. */
  async effects(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const name of await readdir(this.#root)) {
      const text = await readFile(join(this.#root, name, "done.log"), "utf8").catch(() => "");
      for (const task of text.split("\n").filter(Boolean)) counts.set(task, (counts.get(task) ?? 0) + 1);
    }
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    process.off("exit", this.#atExit);
    this.#clear();
  }

  #add<T extends EngineProcess>(group: T[], added: T): T {
    const { id } = added;
    added.on("logged", (event) => {
      const text = worthTelling(event);
      if (text !== undefined) this.#journal.log(id, printable(text));
    });
    added.on("complaint", (text) => this.#journal.log(id, text));
    const [oldest, ...others] = group.filter((it) => !isThere(it));
    if (oldest && others.length >= mostGone - 1) group.splice(group.indexOf(oldest), 1);
    group.push(added);
    return added;
  }

  #clear(): void {
    for (const it of [...this.schedulers, ...this.masters]) if (isThere(it)) it.killAtOnce();
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 3 });
  }
}

function isThere({ state }: EngineProcess): boolean {
  return state !== "dead" && state !== "left";
}
