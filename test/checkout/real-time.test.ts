import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { outcomeOfRun } from "../support/child.ts";

// What fake timers replace must not be used where the library goes on regardless: see src/internal/real-time.ts.

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/**
 * What vitest's and Jest's fake timers replace by default and Node has, but for `process.nextTick` and
 * `process.hrtime`.
 */
const replaced = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "queueMicrotask",
  "performance",
  "Date",
];

test.each(["src/kv/probe.ts", "src/probe.ts", "recipes/queue/probe.ts", "testing/probe.ts"])(
  "the linter refuses in %s every global that fake timers replace",
  async (file) => {
    const folder = mkdtempSync(join(tmpdir(), "etcd-recipes-real-time-"));
    try {
      for (const name of ["biome.json", "package.json"]) copyFileSync(join(checkout, name), join(folder, name));
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), replaced.map((name) => `export const a${name} = ${name};\n`).join(""));
      expect(await refusedLines(folder)).toEqual(replaced.map((_, index) => index + 1));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test("nothing goes round real-time.ts", () => {
  const round = /\bprocess\.(nextTick|hrtime)|node:timers|node:perf_hooks|\bglobalThis\b/;
  const found = ["src", "recipes", "testing"]
    .flatMap((room) =>
      readdirSync(join(checkout, room), { recursive: true, encoding: "utf8" }).map((entry) => `${room}/${entry}`),
    )
    .filter((path) => path.endsWith(".ts") && round.test(readFileSync(join(checkout, path), "utf8")));
  // The last one is there to follow fake timers.
  const allowed = ["src/internal/real-time.ts", "testing/fake-etcd/global-clock.ts", "testing/real-time.ts"];
  expect(found.sort()).toEqual(allowed.sort());
});

async function refusedLines(folder: string): Promise<number[]> {
  const biome = join(checkout, "node_modules/@biomejs/biome/bin/biome");
  const args = [biome, "lint", "--diagnostic-level=error", "--reporter=json", "--max-diagnostics=none"];
  const { stdout } = await outcomeOfRun(process.execPath, args, { cwd: folder });
  const { diagnostics }: { diagnostics: { category: string; location: { start: { line: number } } }[] } =
    JSON.parse(stdout);
  return diagnostics
    .filter(({ category }) => category === "lint/style/noRestrictedGlobals")
    .map(({ location }) => location.start.line);
}
