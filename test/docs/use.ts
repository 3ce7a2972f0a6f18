import { dirname } from "node:path";
import { expect } from "vitest";
import type { Child } from "../support/child.ts";
import type { ReadersWorld } from "./readers-world.ts";
import type { Programs } from "./snippets.ts";

/** Where the snippets run. */
export interface Reader {
  readonly world: ReadersWorld;
  readonly programs: Programs;
}

/** How a snippet is run. */
export interface Use {
  /** What the reader brings: TypeScript by the names that the snippet's first line asks for. */
  readonly yours?: Readonly<Record<string, string>>;
  /** What the reader adds at the end. */
  readonly added?: string;
  /** It goes on after its last line. */
  readonly goesOn?: true;
  /** The arguments of Node that run it. By default its path is the only one. */
  args?(path: string): readonly string[];
  /** By default it finds etcd in its environment. */
  env?(world: ReadersWorld): NodeJS.ProcessEnv;
  before?(world: ReadersWorld): Promise<unknown>;
  /** By default it runs to its end. */
  check?(program: Child, reader: Reader): Promise<unknown>;
}

export const theEnd = 'console.log("the end");\nprocess.exit();\n';

export async function toItsEnd(program: Child): Promise<void> {
  const ended = await program.ended;
  expect({ ended, last: program.lines.at(-1), errors: program.errors }).toEqual({
    ended: 0,
    last: "the end",
    errors: [],
  });
}

export function prints(...lines: readonly string[]) {
  return async (program: Child) => {
    await toItsEnd(program);
    expect(program.lines).toEqual(expect.arrayContaining([...lines]));
  };
}

export async function endsWith(program: Child, error: string): Promise<void> {
  expect(await program.ended).toBe(1);
  expect(program.errors.join("\n")).toContain(error);
}

export const keyOf = async (world: ReadersWorld, key: string) => (await world.etcd.get(key))?.text;

/** Two servers that are one, with metadata as Go writes it. */
export async function twoServers(world: ReadersWorld, prefixOf = "/publictest/pipeline/"): Promise<void> {
  for (const id of ["m1", "m2"]) {
    const metadata = { zone: "eu-1", version: "2.1", tier: id === "m1" ? "gold" : "silver" };
    const value = JSON.stringify({ Op: 0, Addr: world.address, Metadata: metadata });
    await world.etcd.put(`${prefixOf}${id}`, value);
  }
}

export const stop = "const stop = new AbortController(); const { signal } = stop;";
export const cleanCache = "async function cleanCache(id: string) { console.log('cleaned', id); }";

/** The arguments of Node that run a file as a test of vitest, whatever its name. It fails where there is no test. */
export function asTest(path: string): readonly string[] {
  const options = { config: false, root: dirname(path), include: [path], watch: false };
  const program = `import { startVitest } from "vitest/node";
    const vitest = await startVitest("test", [], ${JSON.stringify(options)});
    await vitest.close();`;
  return ["--input-type=module", "-e", program];
}
