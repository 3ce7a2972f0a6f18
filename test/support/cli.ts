import { fileURLToPath } from "node:url";
import { type Child, startChild } from "./child.ts";

/** The program as it is published. */
export const cliProgram = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));

export interface CliOutcome {
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

/** The program as it is published, against one etcd. */
export class Cli {
  readonly #env: NodeJS.ProcessEnv;

  constructor(endpoint: string, env: NodeJS.ProcessEnv = process.env) {
    this.#env = { ...env, ETCD_ENDPOINTS: endpoint };
  }

  start(...args: string[]): Child {
    return startChild(process.execPath, [cliProgram, ...args], { env: this.#env });
  }

  /** Runs it to its end. */
  async run(...args: string[]): Promise<CliOutcome> {
    await using child = this.start(...args);
    const code = await child.ended;
    return { code, out: child.lines.join("\n"), err: child.errors.join("\n") };
  }

  /** What it printed with `--json`. */
  async json(...args: string[]): Promise<unknown[]> {
    const { code, out, err } = await this.run(...args, "--json");
    if (code !== 0) throw new Error(`etcd-recipes ${args.join(" ")} ended with ${code}: ${err}`);
    return out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as unknown]));
  }
}
