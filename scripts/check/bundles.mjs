// The packed tarball in bundlers and test runners, each as it is without a flag: the program registers a service under
// a lease on a real etcd. What is bundled runs in a folder of its own, with nothing else in reach.
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { checkout, command, npm } from "./command.mjs";
import { withPacked } from "./packed.mjs";

const template = fileURLToPath(new URL("bundlers", import.meta.url));

export async function tryInBundlers() {
  const { startEtcd } = await import(pathToFileURL(`${checkout}dist/esm/testing.js`).href);
  const cluster = await startEtcd();
  try {
    const env = { ...process.env, ETCD_ENDPOINTS: cluster.endpoints.join(",") };
    await withPacked((folder, tarball) => tryAll(folder, tarball, env));
  } finally {
    await cluster.close();
  }
}

async function tryAll(folder, tarball, env) {
  const project = join(folder, "project");
  await cp(template, project, { recursive: true });
  // --prefix because `npm run check` makes the npm under it take the checkout for the project.
  const inProject = ["--prefix", project, "--no-audit", "--no-fund", "--prefer-offline"];
  await npm(["ci", ...inProject], { cwd: project });
  await npm(["install", "--no-save", ...inProject, tarball], { cwd: project });
  await mkdir(join(folder, "out"));
  const failures = [];
  const waiting = Object.entries({ ...bundled, ...tested });
  const takeTurns = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, run] = next;
      await run({ project, out: join(folder, "out", name), env }).catch((error) =>
        failures.push(`${name}: ${error.message}`),
      );
    }
  };
  // Each of them waits for its lease a good part of its time.
  await Promise.all([takeTurns(), takeTurns()]);
  if (failures.length > 0) throw new Error(failures.join("\n"));
}

/** A bundle that is made by a tool of the project and then runs alone. */
const bundle = (file, make) => async (place) => {
  await mkdir(place.out);
  await make(place, join(place.out, file));
  await runAlone(place, join(place.out, file));
};

async function runAlone({ env }, program) {
  const output = await command(process.execPath, [program], { cwd: dirname(program), env });
  if (output.trim().split("\n").at(-1) !== "done") throw new Error(`${program} printed:\n${output}`);
}

const bin = (project, name) => join(project, "node_modules/.bin", name);

function esbuild(format) {
  return ({ project }, outfile) =>
    command(
      bin(project, "esbuild"),
      ["program.mjs", "--bundle", "--platform=node", `--format=${format}`, `--outfile=${outfile}`],
      { cwd: project },
    );
}

/** Writes a script into the project and runs it: the tools that have an API and no program. */
async function script({ project }, name, text) {
  await writeFile(join(project, name), text);
  return command(process.execPath, [name], { cwd: project });
}

const bundled = {
  "esbuild-cjs": bundle("program.cjs", esbuild("cjs")),
  "esbuild-esm": bundle("program.mjs", esbuild("esm")),
  webpack: bundle("program.cjs", (place, file) =>
    script(
      place,
      "webpack.cjs",
      `require("webpack")({
        entry: "./program.mjs", target: "node", mode: "production",
        output: { path: ${JSON.stringify(dirname(file))}, filename: "program.cjs" },
      }, (error, stats) => {
        if (error || stats.hasErrors() || stats.hasWarnings()) {
          console.error(error ?? stats.toString());
          process.exitCode = 1;
        }
      });`,
    ),
  ),
  rollup: bundle("program.mjs", ({ project }, file) =>
    command(
      bin(project, "rollup"),
      [
        ...["program.mjs", "--file", file, "--format", "es", "--silent"],
        ...["--plugin", "node-resolve={preferBuiltins:true}", "--plugin", "commonjs", "--plugin", "json"],
      ],
      { cwd: project },
    ),
  ),
  nft: async (place) => {
    const files = await script(
      place,
      "trace.mjs",
      `import { nodeFileTrace } from "@vercel/nft";
      const { fileList, warnings } = await nodeFileTrace(["program.mjs"]);
      if (warnings.size > 0) throw new AggregateError([...warnings], "nft warns");
      console.log(JSON.stringify([...fileList]));`,
    );
    for (const file of JSON.parse(files)) await cp(join(place.project, file), join(place.out, file));
    await runAlone(place, join(place.out, "program.mjs"));
  },
};

/** Jest as `npm init jest` leaves it: CommonJS. */
const jest =
  (folder, name, config) =>
  ({ project, env }) =>
    command(
      process.execPath,
      [
        join(project, `node_modules/${name}/bin/jest.js`),
        ...["--config", JSON.stringify({ rootDir: join(project, folder), testEnvironment: "node", ...config })],
      ],
      { cwd: project, env },
    );

const tested = {
  "jest 29": jest("jest", "jest-29", {}),
  "jest 30": jest("jest", "jest", {}),
  // What the README says of fake timers that are there before the library is imported.
  "jest 30, fake timers from the start": jest("jest", "jest", {
    fakeTimers: { enableGlobally: true, doNotFake: ["Date", "nextTick", "queueMicrotask"] },
  }),
  "ts-jest": jest("ts-jest", "jest", { preset: "ts-jest" }),
  vitest: ({ project, env }) =>
    command(bin(project, "vitest"), ["run", "--root", join(project, "vitest")], { cwd: project, env }),
};
