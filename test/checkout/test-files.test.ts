import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { longest } from "../support/longest-first.ts";
import { sortTestFiles } from "../support/test-files.ts";

let checkout: string;

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), "test-files-"));
});
afterEach(() => rm(checkout, { recursive: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(checkout, "test", path)), { recursive: true });
    await writeFile(join(checkout, "test", path), `${text}\n`);
  }
}

test("what reaches no server and no process, by itself or by what it imports, is logic", async () => {
  await write({
    "src/pure.test.ts": 'import { a } from "../support/pure.ts";\nimport { b } from "../../src/index.ts";',
    "support/pure.ts": 'import {\n  c,\n} from "node:path";',
    "src/etcd.test.ts": 'import {\n  startEtcd,\n} from "../../testing/index.ts";',
    "src/lab.test.ts": 'import { a } from "../support/lab.ts";',
    "support/lab.ts": 'export * from "./deeper.ts";',
    "support/deeper.ts": 'import { lab } from "./lab.ts";\nimport { startEtcd } from "../../testing/index.ts";',
    "src/memory.test.ts": 'import { MemoryEtcd } from "../../testing/fake-etcd/index.ts";',
    "src/program.test.ts": 'import { spawn } from "node:child_process";',
  });
  expect(sortTestFiles(checkout)).toEqual({
    logic: ["test/src/memory.test.ts", "test/src/pure.test.ts"],
    shared: ["test/src/etcd.test.ts", "test/src/lab.test.ts", "test/src/program.test.ts"],
    alone: [],
    mocking: [],
  });
});

test.each(['vi.mock("./a.ts");', 'vi.doMock(\n  "../../src/a.ts", () => mine);'])(
  "what replaces a module of the project, by itself or by what it imports, is mocking: %s",
  async (line) => {
    await write({ "src/odd.test.ts": line, "src/lab.test.ts": 'import { a } from "./lab.ts";', "src/lab.ts": line });
    expect(sortTestFiles(checkout)).toMatchObject({ mocking: ["test/src/lab.test.ts", "test/src/odd.test.ts"] });
  },
);

test.each([
  'process.env.ETCD_BIN = "x";',
  'process.env["ETCD_BIN"] ??= "x";',
  "delete process.env.ETCD_BIN;",
  "Object.assign(process.env, before);",
  'process.on("unhandledRejection", listener);',
  "globalThis.fetch = mine;",
  'vi.spyOn(console, "log");',
  "vi.useFakeTimers();",
  "setDefaultClient(client);",
  "await collectGarbage();",
])("what changes or measures its process shares it with no other: %s", async (line) => {
  await write({ "src/odd.test.ts": line, "src/lab.test.ts": 'import { a } from "./lab.ts";', "src/lab.ts": line });
  expect(sortTestFiles(checkout)).toMatchObject({
    logic: [],
    shared: [],
    alone: ["test/src/lab.test.ts", "test/src/odd.test.ts"],
  });
});

test("what only reads its process is", async () => {
  await write({ "a.test.ts": 'if (process.env.CI === "true") process.exitCode = 1;' });
  expect(sortTestFiles(checkout)).toMatchObject({ logic: ["test/a.test.ts"], alone: [] });
});

test("what replaces a module of Node gets what was built", async () => {
  await write({ "a.test.ts": 'vi.mock("node:fs", () => mine);' });
  expect(sortTestFiles(checkout)).toMatchObject({ alone: ["test/a.test.ts"], mocking: [] });
});

test("each test file of this checkout is in one list", () => {
  const { logic, mocking, shared, alone } = sortTestFiles(fileURLToPath(new URL("../..", import.meta.url)));
  const all = [...logic, ...mocking, ...shared, ...alone];
  expect(new Set(all).size).toBe(all.length);
  expect(logic).toContain("test/recipes/balancer/p2c.test.ts");
  expect(mocking).toContain("test/recipes/writes/retries-in-time.test.ts");
  expect(shared).toContain("test/recipes/queue/jobs.test.ts");
  expect(alone).toContain("test/src/secure/tls.test.ts");
});

test("the files that begin first are there, each once", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  expect(longest.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  expect(new Set(longest).size).toBe(longest.length);
});
