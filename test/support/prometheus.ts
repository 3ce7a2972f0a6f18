import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takePort } from "../../testing/free-ports.ts";
import { findProgram } from "./find-program.ts";
import { KeptProcess } from "./kept-process.ts";

const program = findProgram("prometheus", "usr/bin/prometheus", "--version", "nothing is scraped by a Prometheus");

/** Without a prometheus the tests that ask one cannot run. */
export const canStartPrometheus = program !== undefined;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

interface Answer {
  readonly status: "success" | "error";
  readonly data?: { readonly result: readonly Sample[] };
  readonly error?: string;
}

/** A real Prometheus on a free port of 127.0.0.1, in a folder of its own. */
export class RunningPrometheus implements AsyncDisposable {
  readonly #url: string;
  readonly #folder: string;
  readonly #process: KeptProcess;

  private constructor(url: string, folder: string, process: KeptProcess) {
    this.#url = url;
    this.#folder = folder;
    this.#process = process;
  }

  /** @param config the text of a prometheus.yml */
  static async start(config: string): Promise<RunningPrometheus> {
    if (!program) throw new Error("there is no prometheus");
    const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-prometheus-"));
    const port = await takePort();
    await writeFile(join(folder, "prometheus.yml"), config);
    const args = [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const process = await KeptProcess.start(program, args, join(folder, "prometheus.log"));
    return new RunningPrometheus(`http://127.0.0.1:${port}`, folder, process);
  }

  /** @throws what it says of a query that it cannot answer, or that it is not there yet */
  async query(expression: string): Promise<readonly Sample[]> {
    const response = await fetch(`${this.#url}/api/v1/query?${new URLSearchParams({ query: expression })}`);
    const { status, data, error } = (await response.json()) as Answer;
    if (status !== "success" || !data) throw new Error(`${expression}: ${error}`);
    return data.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
