// The package as a stranger gets it: packed, installed into a new project, compiled with the options that `tsc --init`
// writes and without own @types/node, and run against a real etcd by `import` and by `require`.
import { access, cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { command, npm, tool } from "./command.mjs";
import { withPacked } from "./packed.mjs";

const template = fileURLToPath(new URL("consumer", import.meta.url));

export function tryAsConsumer() {
  return withPacked(async (folder, tarball) => {
    await cp(template, folder, { recursive: true });
    await writeFile(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true }));
    // --prefix because `npm run check` makes the npm under it take the checkout for the project.
    const inFolder = { cwd: folder };
    await npm(["install", "--prefix", folder, "--no-audit", "--no-fund", tarball], inFolder);
    for (const file of ["LICENSE", "README.md", "CHANGELOG.md"]) {
      await access(join(folder, "node_modules/etcd-recipes", file));
    }

    await tool("tsc", ["--init"], inFolder);
    // Its skipLibCheck would hide declarations of ours that do not compile.
    await tool("tsc", ["-p", ".", "--skipLibCheck", "false"], inFolder);
    expectOutput("by-import.mjs", await command(process.execPath, ["by-import.mjs"], inFolder));
    expectOutput("by-require.cjs", await command(process.execPath, ["by-require.cjs"], inFolder));
    // A Node that cannot require() an ES module gets the CommonJS form.
    const withoutRequireOfModules = ["--no-experimental-require-module", "by-require.cjs"];
    expectOutput("by-require.cjs as CommonJS", await command(process.execPath, withoutRequireOfModules, inFolder));
    expectOutput("one-copy.cjs", await command(process.execPath, ["one-copy.cjs"], inFolder));

    const help = await command(join(folder, "node_modules/.bin/etcd-recipes-etcd"), ["--help"], inFolder);
    if (!help.includes("--version")) throw new Error(`etcd-recipes-etcd --help printed:\n${help}`);
  });
}

function expectOutput(program, output) {
  if (output.trim().split("\n").at(-1) !== "done") throw new Error(`${program} printed:\n${output}`);
}
