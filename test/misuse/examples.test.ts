import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { drawFrame } from "../../examples/demo/frame.ts";
import { Journal } from "../../examples/demo/journal.ts";
import { paint } from "../../examples/demo/line.ts";
import { toLine } from "../../examples/demo/plain-lines.ts";
import { Caches } from "../../examples/engine/master/caches.ts";
import { logger } from "../../examples/engine/shared/events.ts";
import { keys } from "../../examples/engine/shared/keys.ts";
import { runProgram } from "../../examples/engine/shared/program.ts";
import { isFolderName, parseTask } from "../../examples/engine/tasks/task.ts";
import { runExample } from "../examples/run-example.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { until } from "../support/until.ts";
import { nastyText } from "./hostile-values.ts";

const styles = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

test("the demo shows nothing that moves the cursor or forges a line", () => {
  const journal = new Journal();
  journal.beginAct(nastyText);
  journal.log(nastyText, nastyText);
  const shown = [...drawFrame(journal, undefined, { columns: 200, rows: 20 }), ...journal.entries.map(toLine)];
  shown.push(paint({ text: nastyText }, 100));
  // Ours: the styles of a line, and the empty line before a heading.
  const texts = shown.map((line) => line.replace(styles, "").replace(/^\n/, ""));
  expect(texts.filter((line) => /[^\x20-\x7e]/.test(line))).toEqual([]);
});

test("the programs of the engine print one line for an event, whatever its text", () => {
  const lines: string[] = [];
  const { log } = console;
  console.log = (line: string) => lines.push(line);
  try {
    for (const json of [true, false]) logger("m1", json)("done", { task: "\u001b[2J", reason: nastyText, n: 1 });
  } finally {
    console.log = log;
  }
  expect(lines.filter((line) => /[^\x20-\uffff]/.test(line))).toEqual([]);
  expect(lines[1]).not.toMatch(/[^\x20-\x7e]/);
});

test("a program of the engine that cannot start says why in one line", async () => {
  const said: string[] = [];
  const codes: unknown[] = [];
  const { exit } = process;
  const { error } = console;
  console.error = (line: string) => said.push(line);
  process.exit = ((code: unknown) => codes.push(code)) as never;
  try {
    const readOptions = () => {
      throw new Error(`bad ${nastyText}`);
    };
    await runProgram({ usage: "", readOptions, run: async () => {} });
  } finally {
    process.exit = exit;
    console.error = error;
  }
  expect(codes).toEqual([1]);
  expect(said).toEqual([expect.stringMatching(/^bad [\x20-\x7e]+$/)]);
});

test("the caches of a master remove the folders of projects, and nothing that a key leads to besides", async () => {
  const dir = await mkdtemp(join(tmpdir(), "caches-"));
  const cleaned: unknown[] = [];
  process.env.ETCD_ENDPOINTS = lab.endpoint;
  try {
    await using caches = await Caches.open(dir, 60, (_, details) => cleaned.push(details?.project));
    await caches.use("proj-1");
    await caches.use("proj-2");
    await mkdir(join(dir, "proj-2", "src"));
    await lab.etcd.put(`${keys.caches}proj-2/src`, "");
    for (const project of ["proj-2/src", "proj-1"]) await lab.etcd.delete(`${keys.caches}${project}`);
    await until(() => cleaned.includes("proj-2/src") && cleaned.includes("proj-1"));
    expect(existsSync(join(dir, "proj-2", "src"))).toBe(true);
    expect(existsSync(join(dir, "proj-1"))).toBe(false);
  } finally {
    delete process.env.ETCD_ENDPOINTS;
    await rm(dir, { recursive: true });
  }
});

test("no task, and no key, names a folder outside of the caches", () => {
  const task = (project: string) => JSON.stringify({ id: "a", pipelineId: "p", project, durationMs: 1 });
  expect(parseTask(task("proj-1.2"))).toMatchObject({ project: "proj-1.2" });
  for (const project of [".", "..", "../a", "a/b", "/", "a\u0000", "", "x".repeat(300)]) {
    expect(isFolderName(project)).toBe(false);
    expect(() => parseTask(task(project))).toThrow(/project/);
  }
  expect(() => parseTask(`{"constructor":1,${task("a").slice(1)}`)).toThrow(/no constructor/);
});

test("the examples print what stands in etcd as printable text", async () => {
  await lab.etcd.put("/publictest/pipeline/\u001b[2J\nforged", "10.0.0.66:80");
  const lease = await lab.etcd.grantLease(5);
  await lab.etcd.put("/leader/\u001b[2J", "me\u001b[2J\nforged", { lease });
  await lab.etcd.put(
    "/nodes/\u001b[2J",
    '{"Addr":"n","Metadata":{"info":{"zone":"\\u001b[2J\\n"},"upSince":1,"changedAt":1}}',
  );
  const env = { ETCD_ENDPOINTS: lab.endpoint };
  const examples = ["subscribe", "elect", "monitor"].map((name) => runExample(name, { env }));
  // It leads until each follower has reported it.
  const isTold = () => examples.every(({ output, process }) => output.includes("[2J") || process.exitCode !== null);
  await until(isTold, { timeoutMs: 30_000 });
  await lease.revoke();
  for (const example of examples) {
    using running = example;
    expect(await running.ended, running.output).toEqual({ code: 0, signal: null });
    expect(running.output).not.toMatch(/[^\x20-\x7e\n]/);
    expect(running.output.split("\n")).not.toContain("forged");
    expect(running.output).toContain("\\u{1b}[2J");
  }
});

test("the example of an expirer removes nothing outside of its folder, and prints nothing that a key has in it", async () => {
  const outside = await mkdtemp(join(tmpdir(), "hostile-"));
  await mkdir(join(outside, "kept"));
  await writeFile(join(outside, "kept", "file"), "");
  const env = { ETCD_ENDPOINTS: lab.endpoint, TMPDIR: outside };
  using example = runExample("expire", { env });
  await until(() => example.output !== "" || example.process.exitCode !== null, { timeoutMs: 20_000 });
  for (const id of ["../kept", "\u001b[2J\nforged"]) {
    await lab.etcd.put(`builds/${id}`, "");
    await lab.etcd.delete(`builds/${id}`);
  }
  await example.ended;
  expect(example.output).not.toMatch(/[^\x20-\x7e\n]|forged/);
  expect(existsSync(join(outside, "kept", "file"))).toBe(true);
  await rm(outside, { recursive: true });
});
