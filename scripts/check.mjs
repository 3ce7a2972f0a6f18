// `npm run check`: what can be said about the checkout without its tests, and the package as a stranger gets it. Runs
// every step, also after one that failed; the exit code is not 0 when any did.
//
//   node scripts/check.mjs [--report FILE] [--built] [--runtimes]
//
//   --report FILE   FILE gets { "passed": …, "failed": … }, for .ci/run
//   --built         the build is there and new, and something else uses it meanwhile: leave it
//   --runtimes      says at the end how the package fares under Bun and Deno, which is not promised and fails nothing
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { tryInBundlers } from "./check/bundles.mjs";
import { checkout, npm, tool } from "./check/command.mjs";
import { tryAsConsumer } from "./check/consumer.mjs";
import { tryOnEachNode } from "./check/nodes.mjs";
import { packed } from "./check/packed.mjs";
import { checkDoors, checkPublicTypes } from "./check/public-types.mjs";
import { tryRuntimes } from "./check/runtimes.mjs";

/** A file that no source makes any more must not be published. */
const build = () => npm(["run", "build", "--", "--clean"]);

const { values } = parseArgs({
  options: {
    report: { type: "string" },
    built: { type: "boolean", default: false },
    runtimes: { type: "boolean", default: false },
  },
});

const ofSources = {
  // After the build: the examples import the package by its name, which leads to dist.
  types: async () => {
    await tool("tsc", ["--noEmit", "-p", "tsconfig.json"]);
    await tool("tsc", ["--noEmit", "-p", "tsconfig.fuzz.json"]);
  },
  "format, lint and borders": () => tool("biome", ["ci", "--error-on-warnings", "--colors=off", "."]),
  "public types": checkPublicTypes,
  "doors keep the types of Node": checkDoors,
  "the packed tarball on each Node and etcd": tryOnEachNode,
};

const ofTheTarball = {
  publint: async () => tool("publint", ["run", await packed(), "--strict"]),
  "are the types wrong": async () => tool("attw", [await packed()]),
  "the packed tarball in a consumer": tryAsConsumer,
};

/**
 * What CI has tested before: that pages lead somewhere, name what there is in plain words, and that their snippets run.
 */
const ofTheDocs = { docs: () => tool("vitest", ["run", "test/checkout/docs.test.ts", "test/docs"]) };

/** What takes as long as all the others. */
const inBundlers = { "the packed tarball in bundlers and test runners": tryInBundlers };

const setup = spawnSync(process.execPath, [`${checkout}scripts/setup.mjs`], { stdio: "inherit" });
if (setup.status !== 0) process.exit(1);

const result = { passed: 0, failed: 0 };

/** Runs the steps one after the other. */
async function runSteps(steps) {
  for (const [name, step] of Object.entries(steps)) {
    const started = performance.now();
    const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
    try {
      await step();
      result.passed++;
      console.log(`check: ${name}: passed (${seconds()})`);
    } catch (error) {
      result.failed++;
      console.log(`${error.message}\ncheck: ${name}: FAILED (${seconds()})`);
    }
  }
}

if (!values.built) {
  await runSteps({ build });
  await runSteps(ofTheDocs);
}
// Each of them computes with one core and waits for the registry: two cores have time for three.
await Promise.all([ofSources, ofTheTarball, inBundlers].map(runSteps));
console.log(`check: ${result.passed} steps passed, ${result.failed} failed`);
if (values.runtimes) {
  const reports = await tryRuntimes().catch((error) => [`runtimes could not be tried: ${error.message}`]);
  for (const report of reports) console.log(`check: ${report}`);
}
if (values.report) writeFileSync(values.report, JSON.stringify(result));
process.exitCode = result.failed === 0 ? 0 : 1;
