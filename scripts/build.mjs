// `npm run build`: the package in its two forms, ES modules in dist/esm and CommonJS in dist/cjs, each with its types. tsc
// makes both; a package.json beside the second says what its `.js` files are.
import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("..", import.meta.url));
const tsc = `${checkout}node_modules/typescript/bin/tsc`;

/** Resolves with the exit code of tsc. */
function compile(project) {
  return new Promise((resolve, reject) => {
    const compiler = spawn(process.execPath, [tsc, "-p", project], { cwd: checkout, stdio: "inherit" });
    compiler.on("error", reject);
    compiler.on("exit", (code) => resolve(code ?? 1));
  });
}

// A file that no source makes any more must not be published. Only with --clean: programs may run from dist meanwhile.
if (process.argv.includes("--clean")) rmSync(`${checkout}dist`, { recursive: true, force: true });
const codes = await Promise.all(["tsconfig.build.json", "tsconfig.cjs.json"].map(compile));
if (codes.some((code) => code !== 0)) process.exit(1);
// A bundler looks for `sideEffects` in the package.json that is nearest to a file.
writeFileSync(`${checkout}dist/cjs/package.json`, `${JSON.stringify({ type: "commonjs", sideEffects: false })}\n`);
