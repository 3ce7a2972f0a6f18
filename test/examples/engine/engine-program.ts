import { type RunningExample, runExample } from "../run-example.ts";

/** A line that a program of the engine said. */
export interface EngineEvent {
  readonly at: string;
  readonly source: string;
  readonly event: string;
  readonly [detail: string]: unknown;
}

/** A master or a scheduler: a process of its own, seen by what it says. */
export class EngineProgram implements AsyncDisposable {
  readonly id: string;
  readonly #example: RunningExample;
  #ended: { code: number | null; signal: string | null } | undefined;

  constructor(
    name: "master" | "scheduler",
    id: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ) {
    this.id = id;
    this.#example = runExample(`engine/${name}/${name}`, { args: ["--id", id, "--json", ...args], env });
    void this.#example.ended.then((ended) => {
      this.#ended = ended;
    });
  }

  /** All that it said so far, also what is no event. */
  get output(): string {
    return this.#example.output;
  }

  get events(): EngineEvent[] {
    const lines = this.output.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** What it said that is no event: errors. */
  get complaints(): string {
    return this.output
      .split("\n")
      .filter((line) => !line.startsWith("{"))
      .join("\n");
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  get ended(): Promise<{ code: number | null; signal: string | null }> {
    return this.#example.ended;
  }

  /** The events of this kind; of this task, if one is given. */
  logged(event: string, task?: string): EngineEvent[] {
    return this.events.filter((it) => it.event === event && (task === undefined || it.task === task));
  }

  signal(name: NodeJS.Signals): void {
    this.#example.process.kill(name);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
