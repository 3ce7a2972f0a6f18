// The packed tarball under other runtimes than Node, which npm's packages of them bring: each registers a service under
// a lease, on a real etcd and on one in memory. What they make of Node's modules is theirs: this is reported, and
// nothing is promised of it.
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { checkout, command, npm } from "./command.mjs";
import { withPacked } from "./packed.mjs";

const template = fileURLToPath(new URL("runtimes", import.meta.url));
const program = fileURLToPath(new URL("bundlers/program.mjs", import.meta.url));

const runtimes = {
  bun: ["run"],
  deno: ["run", "--allow-all"],
};

/** What is run, by what is said of it. */
const programs = { "with a real etcd": "program.mjs", "with fakeEtcd()": "fake-etcd.mjs" };

/** @returns one line for each runtime and program */
export async function tryRuntimes() {
  const { startEtcd } = await import(pathToFileURL(`${checkout}dist/esm/testing.js`).href);
  const cluster = await startEtcd();
  try {
    const env = { ...process.env, ETCD_ENDPOINTS: cluster.endpoints.join(",") };
    return await withPacked((folder, tarball) => tryAll(join(folder, "project"), tarball, env));
  } finally {
    await cluster.close();
  }
}

async function tryAll(project, tarball, env) {
  await cp(template, project, { recursive: true });
  await cp(program, join(project, "program.mjs"));
  // --prefix because `npm run check` makes the npm under it take the checkout for the project.
  const inProject = ["--prefix", project, "--no-audit", "--no-fund", "--prefer-offline"];
  await npm(["ci", ...inProject], { cwd: project });
  await npm(["install", "--no-save", ...inProject, tarball], { cwd: project });
  const reports = [];
  for (const [name, args] of Object.entries(runtimes)) {
    const run = (more) => command(join(project, "node_modules/.bin", name), more, { cwd: project, env });
    for (const [what, file] of Object.entries(programs)) {
      reports.push(`${name} ${what}: ${await report(run, [...args, file])}`);
    }
  }
  return reports;
}

async function report(run, args) {
  try {
    const [version] = (await run(["--version"])).split("\n");
    const output = await run(args);
    return output.trim().split("\n").at(-1) === "done" ? `works (${version})` : `${version} printed:\n${output}`;
  } catch (error) {
    return `does not work: ${error.message}`;
  }
}
