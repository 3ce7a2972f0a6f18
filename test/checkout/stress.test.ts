import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outcomeOfRun } from "../support/child.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** A project of its own. */
const config = 'export default { test: { include: ["*.test.js"], projects: [{ test: { name: "odd" } }] } };';
const fixture = `import { expect, test } from "vitest";
test("fails", () => expect("drawn " + process.env.TEST_SEED).toBe(console.log("it was", process.env.TEST_SEED)));
test("passes", () => {});`;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stress-"));
  await symlink(join(checkout, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "vitest.config.js"), config);
  await writeFile(join(folder, "failing.test.js"), fixture);
});
afterAll(() => rm(folder, { recursive: true }));

/** @returns what it printed, its exit code last */
async function stress(...args: string[]): Promise<string> {
  const program = [join(checkout, "scripts/stress.mjs"), "failing", ...args];
  const { code, stdout } = await outcomeOfRun(process.execPath, program, { cwd: folder });
  return `${stdout}exit ${code}`;
}

test("each run draws another seed; one that failed is reported and can be repeated", async () => {
  const printed = await stress("--times", "3");
  const seeds = [...printed.matchAll(/FAILED with TEST_SEED=(\d+)\nfailing.test.js > fails\n/g)].map(
    ([, seed]) => seed,
  );
  expect(new Set(seeds).size).toBe(3);
  for (const seed of seeds) {
    expect(printed).toContain(`expected 'drawn ${seed}' to be undefined`);
    expect(printed).toContain(`it was ${seed}`);
  }
  expect(printed).toContain(`3 runs, 6 tests, 3 runs failed, with these TEST_SEEDs: ${seeds.join(" ")}\n`);
  const [seed = ""] = seeds;
  expect(printed).toMatch(new RegExp(`to repeat one: npm run test:stress -- failing --seed ${seed}\nexit 1$`));

  expect(await stress("--times", "1", "--seed", seed)).toContain(`1 runs failed, with these TEST_SEEDs: ${seed}\n`);
  expect(await stress("--times", "2", "--name", "passes")).toMatch(/2 runs, 2 tests, 0 runs failed\nexit 0$/);
});

test("tests draw their random numbers from the seed that is printed", () => {
  const drawing = /Math\.random\(\)|random: Math\.random|random(Int|Bytes)\(/;
  // They choose the seed.
  const chooses = ["support/global-setup.ts", "fuzz/main.ts"];
  const files = readdirSync(join(checkout, "test"), { recursive: true, encoding: "utf8" });
  const sources = files.filter(
    (file) => /\.m?[jt]s$/.test(file) && !chooses.includes(file) && !file.startsWith("house/"),
  );
  expect(sources.length).toBeGreaterThan(100);
  expect(sources.filter((file) => drawing.test(readFileSync(join(checkout, "test", file), "utf8")))).toEqual([]);
});
