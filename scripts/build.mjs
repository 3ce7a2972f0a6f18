// `npm run build`: the package in its two forms, ES modules in dist/esm and CommonJS in dist/cjs, each with its types.
// tsc compiles file by file: the declarations, and the modules that everything is made of. What users import is one file
// for each door and what they share, made of those modules and of what they use of the packages in `joined`: Node loads
// it in half the time that four hundred files take, and a third of what is left was zod's and cockatiel's many files. A
// package.json beside the CommonJS form says what its `.js` files are. Tests import build/tested: all modules in one
// file.
import { spawn } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { posix, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const checkout = fileURLToPath(new URL("..", import.meta.url));
/** Packages whose code is published with ours, and their licences with it. All others are installed beside it. */
const joined = ["cockatiel", "etcd3", "zod"];
const tsc = `${checkout}node_modules/typescript/bin/tsc`;

/** Resolves with the exit code of tsc. */
function compile(project) {
  return new Promise((resolve, reject) => {
    const compiler = spawn(process.execPath, [tsc, "-p", project], { cwd: checkout, stdio: "inherit" });
    compiler.on("error", reject);
    compiler.on("exit", (code) => resolve(code ?? 1));
  });
}

/** Joins the modules of each door. */
async function join() {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${checkout}package.json`, "utf8"));
  // What doors share has no door.
  const names = readdirSync(`${checkout}doors`).filter((name) => existsSync(`${checkout}doors/${name}/index.ts`));
  const further = names.map((name) => [name, `doors/${name}/index.js`]);
  const doors = {
    recipes: "recipes/index.js",
    client: "src/index.js",
    testing: "testing/index.js",
    ...Object.fromEntries(further),
  };
  const programs = { cli: "cli/main.js", guard: "cli/guard.js" };
  const packages = [...Object.keys(dependencies), ...Object.keys(peerDependencies)];
  const shared = { chunkFileNames: "shared-[name].js" };
  const published = { dir: "dist/esm", format: "esm", ...shared };
  await joinAs({ ...doors, ...programs }, packages, published);
  await joinAs(doors, packages, { ...published, dir: "dist/cjs", format: "cjs" });
  // All modules in one file, and a file for each that hands on what the module exports.
  const together = {
    name: "together",
    test: new RegExp(`dist.esm.(src|recipes|testing).|node_modules.(${joined.join("|")}).`),
  };
  await joinAs(modulesOf(["src", "recipes", "testing", "doors"]), packages, {
    dir: "build/tested",
    format: "esm",
    chunkFileNames: "[name].js",
    codeSplitting: { groups: [together] },
  });
}

/** The modules that tsc made of these rooms, by their paths without the ending. */
function modulesOf(rooms) {
  const paths = rooms.flatMap((room) =>
    readdirSync(`${checkout}dist/esm/${room}`, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".js"))
      .map((path) => `${room}/${path.replaceAll(sep, "/")}`),
  );
  return Object.fromEntries(paths.map((path) => [path.slice(0, -".js".length), path]));
}

async function joinAs(input, packages, { dir, ...output }) {
  const bundle = await rolldown({
    cwd: `${checkout}dist/esm`,
    input,
    platform: "node",
    external: packages.map((name) => new RegExp(`^${name}(/|$)`)),
  });
  await bundle.write({
    plugins: [ascii],
    dir: `${checkout}${dir}`,
    entryFileNames: "[name].js",
    // They stand in the declarations, and would be read at each start.
    comments: { jsdoc: false },
    ...output,
  });
  await bundle.close();
}

/**
 * With one other character in a file, V8 reads all of it as two bytes each. An escape means the same in strings,
 * templates and regular expressions, but not behind a backslash. It is done last: rolldown prints an escape as the
 * character.
 */
const ascii = {
  name: "ascii",
  generateBundle(_, files) {
    for (const file of Object.values(files)) {
      if (file.type === "chunk") file.code = toAscii(file.code, file.fileName);
    }
  },
};

function toAscii(code, fileName) {
  const [unescapable] = /\\[^\0-\x7f].{0,40}/.exec(code) ?? [];
  if (unescapable) throw new Error(`${fileName} has a character behind a backslash: ${unescapable}`);
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What the licences of joined packages ask for. */
function notices() {
  const texts = joined.map((name) => {
    const folder = `${checkout}node_modules/${name}/`;
    const { version, license } = JSON.parse(readFileSync(`${folder}package.json`, "utf8"));
    return `${name} ${version} (${license})\n\n${readFileSync(`${folder}LICENSE`, "utf8").trim()}\n`;
  });
  return `The files of this folder contain parts of these packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/** They say the same in both forms: the package.json beside them says which one it is. */
function copyDeclarations() {
  for (const room of ["src", "recipes", "testing", "doors"]) {
    const filter = (path) => !path.endsWith(".js");
    cpSync(`${checkout}dist/esm/${room}`, `${checkout}dist/cjs/${room}`, { recursive: true, filter });
  }
}

/** Removes the declarations that no door leads to: they would be published and never read. */
function dropPrivateDeclarations() {
  const { exports, main, types, typesVersions } = JSON.parse(readFileSync(`${checkout}package.json`, "utf8"));
  const doors = JSON.stringify([exports, main, types, typesVersions]).matchAll(/"\.\/(dist\/[^"]+\.d\.ts)"/g);
  const reached = new Set();
  const left = [...doors].map(([, path]) => path);
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    for (const [, target] of readFileSync(`${checkout}${path}`, "utf8").matchAll(/(?:from|import\(?) ?"(\.[^"]+)"/g)) {
      left.push(posix.join(posix.dirname(path), target.replace(/\.[jt]s$/, ".d.ts")));
    }
  }
  for (const form of ["esm", "cjs"]) {
    for (const name of readdirSync(`${checkout}dist/${form}`, { recursive: true, encoding: "utf8" })) {
      const path = posix.join("dist", form, name.replaceAll(sep, "/"));
      if (path.endsWith(".d.ts") && !reached.has(path)) rmSync(`${checkout}${path}`);
    }
  }
}

// A file that no source makes any more must not be published. Only with --clean: programs may run from dist meanwhile.
if (process.argv.includes("--clean")) rmSync(`${checkout}dist`, { recursive: true, force: true });
if ((await compile("tsconfig.build.json")) !== 0) process.exit(1);
copyDeclarations();
// A bundler looks for `sideEffects` in the package.json that is nearest to a file.
writeFileSync(`${checkout}dist/cjs/package.json`, `${JSON.stringify({ type: "commonjs", sideEffects: false })}\n`);
writeFileSync(`${checkout}dist/THIRD-PARTY-NOTICES.txt`, notices());
await join();
dropPrivateDeclarations();
