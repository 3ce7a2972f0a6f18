import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { prefix } from "../../src/index.ts";
import type { Child } from "../support/child.ts";
import { runNode } from "../support/run-program.ts";
import { until } from "../support/until.ts";
import { ReadersWorld } from "./readers-world.ts";
import { Programs, readSnippets, type Snippet } from "./snippets.ts";

/** How a snippet is run. */
interface Use {
  /** What the reader brings: TypeScript by the names that the snippet's first line asks for. */
  readonly yours?: Readonly<Record<string, string>>;
  /** What the reader adds at the end. */
  readonly added?: string;
  /** It goes on after its last line. */
  readonly goesOn?: true;
  /** By default it finds etcd in its environment. */
  env?(): NodeJS.ProcessEnv;
  before?(): Promise<unknown>;
  /** By default it runs to its end. */
  check?(program: Child): Promise<unknown>;
}

let world: ReadersWorld;
let programs: Programs;

const theEnd = 'console.log("the end");\nprocess.exit();\n';

async function toItsEnd(program: Child): Promise<void> {
  const ended = await program.ended;
  expect({ ended, last: program.lines.at(-1), errors: program.errors }).toEqual({
    ended: 0,
    last: "the end",
    errors: [],
  });
}

function prints(...lines: readonly string[]) {
  return async (program: Child) => {
    await toItsEnd(program);
    expect(program.lines).toEqual(expect.arrayContaining([...lines]));
  };
}

async function endsWith(program: Child, error: string): Promise<void> {
  expect(await program.ended).toBe(1);
  expect(program.errors.join("\n")).toContain(error);
}

const keyOf = async (key: string) => (await world.etcd.get(key))?.text;

/** Two servers that are one, with metadata as Go writes it. */
async function twoServers(): Promise<void> {
  for (const id of ["m1", "m2"]) {
    const metadata = { zone: "eu-1", version: "2.1", tier: id === "m1" ? "gold" : "silver" };
    const value = JSON.stringify({ Op: 0, Addr: world.address, Metadata: metadata });
    await world.etcd.put(`/publictest/pipeline/${id}`, value);
  }
}

const stop = "const stop = new AbortController(); const { signal } = stop;";
const cleanCache = "async function cleanCache(id: string) { console.log('cleaned', id); }";

const uses: Readonly<Record<string, Use>> = {
  "etcd-recipes": {
    added: "console.log('chosen', address);",
    check: (program) => prints(`chosen ${world.address}`)(program),
  },
  "The engine": {
    yours: {
      tasks: `const tasks = { left: 1, async take(signal: AbortSignal) {
        if (this.left-- === 0) throw new Error("no more tasks");
        return { id: "t1", async ack() { console.log("acknowledged"); } };
      } };`,
      run: `async function run(master: { address: string }, task: { id: string }, signal: AbortSignal) {
        console.log("ran", task.id, "at", master.address);
      }`,
      cleanCache,
    },
    async check(program) {
      await endsWith(program, "no more tasks");
      expect(program.lines).toEqual([`ran t1 at ${world.address}`, "acknowledged"]);
      expect(await keyOf("/publictest/progress/t1")).toBe("done");
    },
  },
  "Register a service": {
    // As a service that serves does.
    added:
      'import { createServer } from "node:http"; createServer().listen(0, "127.0.0.1", () => console.log("serves"));',
    goesOn: true,
    async check(program) {
      await until(() => program.lines.includes("serves"), {
        timeoutMs: 30_000,
        message: () => program.errors.join("\n"),
      });
      expect(await keyOf("/publictest/pipeline/m1")).toContain(world.address);
      program.kill("SIGTERM");
      await until(() => program.end !== undefined, { timeoutMs: 30_000, message: "SIGTERM ends it" });
      expect(program).toMatchObject({ end: 0, errors: [] });
      expect(await keyOf("/publictest/pipeline/m1")).toBeUndefined();
    },
  },
  "Say when it is ready, and end in the right order": {
    added: `await Promise.all([server.ready, stock.ready]);
      console.log((await fetch("http://127.0.0.1:8081/ready")).status);`,
    goesOn: true,
    async check(program) {
      await until(() => program.lines.includes("200"), {
        timeoutMs: 30_000,
        message: () => program.errors.join("\n"),
      });
      program.kill("SIGTERM");
      expect(await program.ended).toBe(0);
      expect(program.errors).toEqual([]);
      expect(await keyOf("/shop/orders/o1")).toBeUndefined();
    },
  },
  "Many instances in one process": {
    yours: {
      tenants: "const tenants = ['tenant-7', 'tenant-8'].map((name) => ({ name, address: '10.0.0.1:80' }));",
    },
  },
  "Many instances in one process 2": { added: "await Promise.all([api.ready, admin.ready]);" },
  "Follow the list": { before: twoServers, check: (program) => prints("up m1 eu-1", "up m2 eu-1")(program) },
  "Choose a server": {},
  "Call it, and leave out those that fail": {
    before: twoServers,
    added: "console.log('answered', answer.status);",
    async check(program) {
      await prints("answered 200")(program);
      // The first one answered 503.
      expect(world.requests).toEqual(["/run", "/run"]);
    },
  },
  "See a part of it": {
    before: twoServers,
    added: "console.log(canaries.list().length, 'canaries', golden.map(({ metadata }) => metadata.tier));",
    check: (program) => prints("2 canaries [ 'gold' ]")(program),
  },
  "Elect a leader": {
    yours: {
      signal: stop,
      nextTask: `let left = 1; async function nextTask(signal: AbortSignal) {
        if (left-- === 0) stop.abort(new Error("the reader stops"));
        signal.throwIfAborted();
        return { id: "t1" };
      }`,
    },
    async check(program) {
      await endsWith(program, "the reader stops");
      expect(await keyOf("/tasks/t1")).toBe("scheduler-1");
    },
  },
  Lock: {
    yours: {
      signal: stop,
      buildReport: "async function buildReport(lock: { token: unknown }) { console.log('built'); }",
    },
    check: (program) => prints("built", "built")(program),
  },
  "Fence what is outside etcd": {
    yours: {
      sql: `const sql = { async query(text: string, values: unknown[]) {
        console.log(values[0], values[2]); return { rowCount: 1 };
      } };`,
      id: 'const id = "r1";',
      body: 'const body = "text";',
    },
    check: (program) => prints("text r1")(program),
  },
  "Fence what is outside etcd 2": {
    yours: {
      redis: `const redis = { async eval(script: string, keys: number, ...args: unknown[]) {
        console.log(args[0], args[2]); return 1;
      } };`,
      body: 'const body = "text";',
    },
    check: (program) => prints("report text")(program),
  },
  "Hand out jobs": {
    yours: {
      signal: stop,
      build: `let left = 3; async function build(job: string, signal: AbortSignal) {
        console.log(job); if (--left === 0) stop.abort();
      }`,
    },
    check: (program) => prints("build proj-1", "build proj-2", "build proj-3")(program),
  },
  "Keys that expire, and callbacks that miss no deletion": {
    yours: { cleanCache },
    added:
      'await storage.delete("cache/proj-1"); while (true) await new Promise((resolve) => setTimeout(resolve, 100));',
    check: (program) =>
      until(() => program.lines.includes("cleaned proj-1"), {
        timeoutMs: 30_000,
        message: () => program.errors.join(),
      }),
  },
  "Expire caches together": {
    yours: {
      cleanCache,
      build: "async function build(id: string) { console.log('built', id); }",
      dir: 'import { mkdirSync } from "node:fs"; const dir = new URL("caches/", import.meta.url); mkdirSync(dir);',
    },
  },
  "Cancel a run": {
    added: "console.log(signal.aborted);",
    // It was released before it was cancelled.
    check: (program) => prints("false")(program),
  },
  "Ask for a confirmation": {
    added: "console.log(decision, by, reason);",
    async check(program) {
      const isRequested = async () => (await world.etcd.range(prefix("/pipeline/confirm/"))).kvs.length > 0;
      await until(isRequested, { timeoutMs: 30_000, message: () => program.errors.join("\n") });
      await using approver = runNode([programs.pathOf("Ask for a confirmation 2")], world.env);
      await endsWith(approver, "AlreadyDecidedError");
      await prints("approved alice undefined")(program);
    },
  },
  "Ask for a confirmation 2": { check: (program) => endsWith(program, "NotRequestedError") },
  "Which node is up": {},
  "The layer": {
    async check(program) {
      const changes = async () => {
        await world.etcd.put("svc/a", "1");
        return program.lines.includes("put svc/a");
      };
      await until(changes, { timeoutMs: 30_000, message: () => program.errors.join("\n") });
    },
  },
  "Test your own services": {},
  "Run it in production": {
    env: () => world.secureEnv,
    added: 'await etcd.put("k", "v"); console.log("wrote", (await etcd.get("k"))?.text);',
    check: (program) => prints("wrote v")(program),
  },
  "Run it in production 2": {
    before: () => world.etcd.put("team-a//svc/m1", "10.0.0.1:80"),
    added: "await services.ready; console.log(services.list().map(({ id }) => id));",
    check: (program) => prints("[ 'm1' ]")(program),
  },
};

const snippets = readSnippets();

function find(name: string): Snippet {
  return snippets.find((snippet) => snippet.name === name) ?? expect.fail(`the README has no snippet "${name}"`);
}

/** What it continues, with what the reader brings. */
function codeOf({ name, code, continued, yours }: Snippet): string {
  const before = continued === undefined ? "" : codeOf(find(continued));
  const brought = uses[name]?.yours ?? {};
  expect([...yours].sort(), `what is the reader's in "${name}"`).toEqual(Object.keys(brought).sort());
  return `${before}${Object.values(brought).join("\n")}\n${code}`;
}

beforeAll(async () => {
  world = await ReadersWorld.open();
  const sources = snippets.map((snippet): [string, string] => {
    const { added = "", goesOn } = uses[snippet.name] ?? {};
    return [snippet.name, world.adapt(`${codeOf(snippet)}${added}\n${goesOn ? "" : theEnd}`)];
  });
  programs = new Programs(new Map(sources));
});
afterAll(async () => {
  programs?.[Symbol.dispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.clear());

test("each snippet of the README is tried", () => {
  expect(snippets.map(({ name }) => name)).toEqual(Object.keys(uses));
});

test.each(snippets)("$name: it compiles, and runs as plain JavaScript", async ({ name }) => {
  const { env = () => world.env, before, check = toItsEnd } = uses[name] ?? {};
  expect(programs.errors.get(name)).toBe("");
  await before?.();
  await using program = runNode([programs.pathOf(name)], env());
  await check(program);
});
