import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

// What editors show beside a name: an example there is read by more people than a page.

const checkout = join(import.meta.dirname, "../..");
const tsc = join(checkout, "node_modules/.bin/tsc");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "docstrings-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The examples in the docstrings of a file. */
function examplesIn(file: string): string[] {
  const text = readFileSync(join(checkout, file), "utf8");
  return [...text.matchAll(/^ *\* ```ts\n(.*?)^ *\* ```/gms)].map(([, lines = ""]) =>
    lines.replaceAll(/^ *\* ?/gm, ""),
  );
}

test("the examples in docstrings are TypeScript", () => {
  const files = ["src", "recipes", "testing", "doors"].flatMap((room) =>
    readdirSync(join(checkout, room), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(room, name)),
  );
  const examples = files.flatMap((file) => examplesIn(file).map((code) => ({ file, code })));
  expect(examples.length).toBeGreaterThan(30);
  mkdirSync(join(folder, "examples"));
  for (const [index, { code }] of examples.entries()) writeFileSync(join(folder, `examples/${index}.ts`), code);
  const compilerOptions = { noEmit: true, target: "es2022", module: "preserve", moduleDetection: "force", types: [] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["examples"] }));
  const { stdout } = spawnSync(tsc, ["-p", folder, "--pretty", "false"], { encoding: "utf8" });
  // Names are those of a reader's own program; all that begins with 1 is grammar.
  const errors = [...stdout.matchAll(/examples\/(\d+)\.ts\((\d+),\d+\): error TS1\d{3}: (.*)/g)];
  expect(
    errors.map(([, index, line, message]) => `${examples[Number(index)]?.file}, line ${line}: ${message}`),
  ).toEqual([]);
});
