import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { outcomeOfRun } from "../support/child.ts";
import { pathOf } from "../support/path-of.ts";

const tools = ["bash", "cat", "dirname", "grep", "mktemp", "nice", "node", "rm", "timeout"];

/** What `.ci/run` calls, pretended: `npm` checks, `npx` tests, and each notes how it was called. */
const programs = {
  npm: `echo "npm $*" >> calls
test "$2" = check || exit 0
for last in "$@"; do :; done
echo "{\\"passed\\":7,\\"failed\\":$CHECK_FAILED}" > "\${last#--report=}"
echo "the check says"
test "$CHECK_FAILED" = 0`,
  npx: `echo "npx $* on $TEST_ALSO_ON" >> calls
for last in "$@"; do :; done
echo "{\\"numPassedTests\\":100,\\"numFailedTests\\":$TESTS_FAILED}" > "\${last#--outputFile.json=}"
test "$TESTS_FAILED" = 0`,
};

let clone: string;

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), "ci-"));
  await cp(fileURLToPath(new URL("../../.ci/run", import.meta.url)), join(clone, ".ci/run"));
  await pathOf(join(clone, "bin"), tools);
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(clone, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  await mkdir(join(clone, "scripts"));
  await writeFile(join(clone, "scripts/setup.mjs"), "process.exitCode = Number(process.env.SETUP_FAILED);");
  await installs("/opt/etcd-3.4.23/etcd");
});
afterEach(() => rm(clone, { recursive: true }));

/** What the installer answers; undefined: it fails. */
async function installs(path: string | undefined): Promise<void> {
  const program = path === undefined ? "process.exitCode = 1;" : `console.log(${JSON.stringify(path)});`;
  await writeFile(join(clone, "scripts/etcd-recipes-etcd.mjs"), program);
}

interface Outcome {
  readonly code: number;
  readonly lines: string[];
  readonly calls: string;
}

async function ci(extra: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const none = { SETUP_FAILED: "0", CHECK_FAILED: "0", TESTS_FAILED: "0" };
  const env = { PATH: join(clone, "bin"), TMPDIR: clone, ...none, ...extra };
  const { code, stdout } = await outcomeOfRun(join(clone, ".ci/run"), [], { env });
  const calls = await readFile(join(clone, "calls"), "utf8").catch(() => "");
  return { code, lines: stdout.trim().split("\n"), calls };
}

test("tests and checks, on the etcd 3.4 of the installer as well, and ends with the sum", async () => {
  const { code, lines, calls } = await ci();
  expect({ code, last: lines.at(-1) }).toEqual({ code: 0, last: "107 passed, 0 failed" });
  expect(calls).toMatch(/^npx vitest run .* on \/opt\/etcd-3\.4\.23\/etcd$/m);
  expect(calls).toMatch(/^npm run check -- --built/m);
  expect(lines).toContain("the check says");
});

test("without an etcd 3.4 it fails, and tests all the same", async () => {
  await installs(undefined);
  const { code, lines, calls } = await ci();
  expect({ code, last: lines.at(-1) }).toEqual({ code: 1, last: "107 passed, 1 failed" });
  expect(lines.join("\n")).toContain("ci: FAILED: there is no etcd 3.4");
  expect(calls).toMatch(/^npx vitest run .* on $/m);
});

test("CI_ETCD_BINS names others, or none", async () => {
  await installs(undefined);
  const named = await ci({ CI_ETCD_BINS: "/opt/a/etcd:/opt/b/etcd" });
  expect(named).toMatchObject({ code: 0, calls: expect.stringContaining(" on /opt/a/etcd:/opt/b/etcd\n") });
  expect((await ci({ CI_ETCD_BINS: "" })).lines.at(-1)).toBe("107 passed, 0 failed");
});

test("what fails is counted", async () => {
  expect((await ci({ TESTS_FAILED: "3" })).lines.at(-1)).toBe("107 passed, 3 failed");
  expect(await ci({ CHECK_FAILED: "2" })).toMatchObject({ code: 1 });
  const unprepared = await ci({ SETUP_FAILED: "1" });
  expect({ code: unprepared.code, last: unprepared.lines.at(-1) }).toEqual({ code: 1, last: "0 passed, 1 failed" });
});
