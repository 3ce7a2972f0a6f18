// `npm run test:stress -- FILE... --times N`: runs test files again and again, each time with another TEST_SEED, and
// says with which seeds they failed and how to repeat those. One process runs all of them: only the workers start anew
// each time.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { createVitest } from "vitest/node";

/** How often it says how far it is: 200 runs can take an hour. */
const SAY_EVERY_MS = 60_000;

const help = `npm run test:stress -- FILE... [--times N] [--seed S] [--name TEXT] [--project NAME] [--load N]

  FILE          files whose path contains this, as with npm test
  --times N     how often, 30 by default
  --seed S      this TEST_SEED each time, instead of a new one
  --name TEXT   only the tests whose name contains this
  --project NAME  only this project; by default each that has the files
  --load N      keeps N processes busy meanwhile`;

const { values, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: "string", default: "30" },
    seed: { type: "string" },
    name: { type: "string" },
    project: { type: "string" },
    load: { type: "string", default: "0" },
    help: { type: "boolean", default: false },
  },
});
const burn = `process.stdin.on("end", () => process.exit()).resume();
setImmediate(function again() { setImmediate(again); });`;
const times = wholeNumber("times");
const burners = Array.from({ length: wholeNumber("load") }, () =>
  // It ends with this process, however that ends.
  spawn(process.execPath, ["-e", burn], { stdio: ["pipe", "ignore", "ignore"] }),
);
if (values.help || files.length === 0) {
  console.log(help);
  process.exit(values.help ? 0 : 1);
}

const vitest = await createVitest("test", {
  watch: false,
  // What the tests print belongs to their failures only.
  reporters: [{ onUserConsoleLog: keepLog }],
  ...(values.project && { project: values.project }),
  ...(values.name && { testNamePattern: values.name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") }),
});
let logs = [];
const failed = [];
let ran = 0;
try {
  const found = await vitest.globTestSpecifications(files);
  if (found.length === 0) throw new Error(`no test file has a path that contains ${files.join(" or ")}`);
  const names = found.map(({ project, moduleId }) => `${project.name}: ${moduleId.replace(`${process.cwd()}/`, "")}`);
  console.log(`stress: ${times} times ${names.join(", ")}`);
  let saidAtMs = performance.now();
  for (let time = 1; time <= times; time++) {
    const seed = values.seed ?? String(randomInt(2 ** 31));
    const problems = await runOnce(seed);
    if (problems.length > 0) {
      failed.push(seed);
      console.log(`\nstress: run ${time} FAILED with TEST_SEED=${seed}\n${problems.join("\n")}\n${logs.join("")}`);
    }
    if (performance.now() - saidAtMs < SAY_EVERY_MS || time === times) continue;
    saidAtMs = performance.now();
    console.log(`stress: ${time} of ${times} runs, ${failed.length} failed`);
  }
  const which = failed.length === 0 ? "" : `, with these TEST_SEEDs: ${failed.join(" ")}`;
  console.log(`stress: ${times} runs, ${ran} tests, ${failed.length} runs failed${which}`);
  if (failed.length > 0) console.log(`stress: to repeat one: npm run test:stress -- ${again()} --seed ${failed[0]}`);
} finally {
  for (const burner of burners) burner.kill("SIGKILL");
  await vitest.close();
}
process.exit(failed.length === 0 && ran > 0 ? 0 : 1);

/** @returns what failed, with the reasons */
async function runOnce(seed) {
  // Workers inherit it when they start, and they start for each run.
  process.env.TEST_SEED = seed;
  logs = [];
  vitest.state.filesMap.clear();
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(
    await vitest.globTestSpecifications(files),
    true,
  );
  const problems = [...unhandledErrors].map((error) => `unhandled: ${described(error)}`);
  for (const module of testModules) {
    for (const error of module.errors()) problems.push(`${module.relativeModuleId}: ${described(error)}`);
    for (const test of module.children.allTests()) {
      const { state, errors = [] } = test.result();
      if (state === "passed" || state === "failed") ran++;
      if (state !== "failed") continue;
      problems.push(`${module.relativeModuleId} > ${test.fullName}\n${errors.map(described).join("\n")}`);
    }
    for (const suite of module.children.allSuites()) {
      for (const error of suite.errors()) problems.push(`${suite.fullName}: ${described(error)}`);
    }
  }
  return problems;
}

function described({ message, stack = message, diff = "" }) {
  const ours = stack.split("\n").filter((line) => !/node_modules.@?vitest/.test(line));
  return stripVTControlCharacters([...ours, diff].join("\n"));
}

function keepLog({ content }) {
  logs.push(content);
}

function again() {
  const options = ["name", "project"].filter((name) => values[name] !== undefined);
  return [...files, ...options.map((name) => `--${name} ${JSON.stringify(values[name])}`)].join(" ");
}

function wholeNumber(name) {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 0) throw new Error(`--${name} is a whole number, not ${values[name]}`);
  return number;
}
