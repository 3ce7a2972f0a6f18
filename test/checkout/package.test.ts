import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../support/child.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(read("package.json"));
const lock = JSON.parse(read("package-lock.json"));
const furtherDoors = readdirSync(`${checkout}doors`).filter((name) => name !== "shared");

test("the tarball holds the doors, the installer and the papers, and nothing else of the checkout", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json"], { cwd: checkout });
  const paths: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  const targets = JSON.stringify([manifest.exports, manifest.main, manifest.types, manifest.typesVersions]).matchAll(
    /"\.\/(dist\/[^"]+)"/g,
  );
  for (const [, target] of targets) expect(paths).toContain(target);
  // What doors share is in chunks that the bundler names; each is imported by another file.
  const chunks = paths.filter((path) => /^dist\/(esm|cjs)\/shared-[\w-]+\.js$/.test(path));
  const programs = paths.filter((path) => /^dist\/\w+\/[\w-]+\.js$/.test(path)).map(read);
  expect(chunks.filter((path) => !programs.some((text) => text.includes(`"./${posix.basename(path)}"`)))).toEqual([]);
  const others = paths.filter(
    (path) => !/^dist\/(esm|cjs)\/(src|recipes|testing|doors)\/.+\.d\.ts$/.test(path) && !chunks.includes(path),
  );
  expect(others.sort()).toEqual(
    [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "README.zh-CN.md",
      "dist/THIRD-PARTY-NOTICES.txt",
      ...["client.js", "package.json", "recipes.js", "testing.js"].map((name) => `dist/cjs/${name}`),
      ...["cli.js", "client.js", "guard.js", "recipes.js", "testing.js"].map((name) => `dist/esm/${name}`),
      ...["cjs", "esm"].flatMap((form) => furtherDoors.map((name) => `dist/${form}/${name}.js`)),
      "package.json",
      "scripts/etcd-recipes-etcd.mjs",
    ].sort(),
  );
});

test("each published declaration is one that a door leads to, and no published file names a source map", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json"], { cwd: checkout });
  const paths: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  const declarations = paths.filter((path) => path.endsWith(".d.ts"));
  const used = new Set(
    declarations.flatMap((path) =>
      [...read(path).matchAll(/(?:from|import\(?) ?"(\.[^"]+)"/g)].map(([, target = ""]) =>
        posix.join(posix.dirname(path), target.replace(/\.[jt]s$/, ".d.ts")),
      ),
    ),
  );
  const isDoor = (path: string) => JSON.stringify([manifest.exports, manifest.types]).includes(path);
  expect(declarations.filter((path) => !used.has(path) && !isDoor(path))).toEqual([]);
  expect([...used].filter((path) => !paths.includes(path))).toEqual([]);
  expect(paths.filter((path) => path.endsWith("js") && read(path).includes("sourceMappingURL="))).toEqual([]);
});

test("every door leads to both forms, with types first, and to one copy in a process that can require() modules", () => {
  const doors = Object.entries<Record<string, Record<string, string>>>(manifest.exports).filter(
    ([, target]) => typeof target === "object",
  );
  expect(doors.map(([door]) => door).sort()).toEqual(
    [".", "./client", "./testing", ...furtherDoors.map((name) => `./${name}`)].sort(),
  );
  for (const [, conditions] of doors) {
    expect(Object.keys(conditions)).toEqual(["module-sync", "import", "require", "default"]);
    for (const [condition, target] of Object.entries(conditions)) {
      expect(Object.keys(target)).toEqual(["types", "default"]);
      const form = condition === "require" ? "cjs" : "esm";
      for (const path of Object.values(target)) expect(path).toContain(`./dist/${form}/`);
    }
  }
});

test("the installer is a program, and needs nothing but Node: it runs before anything is installed", () => {
  const path = `${checkout}${manifest.bin["etcd-recipes-etcd"]}`;
  const text = readFileSync(path, "utf8");
  expect(text.startsWith("#!/usr/bin/env node\n")).toBe(true);
  accessSync(path, constants.X_OK);
  const imports = [...text.matchAll(/^import .* from "([^"]+)";$/gm)].map(([, specifier]) => specifier);
  expect(imports.length).toBeGreaterThan(3);
  expect(imports.filter((specifier) => !specifier?.startsWith("node:"))).toEqual([]);
});

test("the published code is ASCII: one other character makes V8 read a file as text of two bytes each", () => {
  const files = ["dist/esm", "dist/cjs"].flatMap((folder) =>
    readdirSync(`${checkout}${folder}`)
      .filter((name) => name.endsWith(".js"))
      .map((name) => `${folder}/${name}`),
  );
  expect(files).toContain("dist/esm/recipes.js");
  expect(files.filter((file) => !/^[\0-\x7f]*$/.test(read(file)))).toEqual([]);
});

test("the licences of packages whose code is published with ours are published with it", () => {
  const notices = read("dist/THIRD-PARTY-NOTICES.txt");
  for (const name of ["cockatiel", "etcd3", "zod"]) {
    expect(manifest.dependencies).not.toHaveProperty(name);
    expect(notices).toContain(read(`node_modules/${name}/LICENSE`).trim());
  }
});

test("what declarations and messages rely on is pinned", () => {
  // Other versions of etcd3 have other stubs. @types/node is for users: our declarations refer to it.
  expect(manifest.devDependencies.etcd3).toMatch(/^\d+\.\d+\.\d+$/);
  expect(Object.keys(manifest.dependencies)).toEqual(["@types/node", "debug"]);
});

test("no script relies on a pre- or post-script: npm skips them under ignore-scripts", () => {
  const names = Object.keys(manifest.scripts);
  expect(names.filter((name) => /^(pre|post)/.test(name) || name === "install" || name === "prepare")).toEqual([]);
});

test("the lock file is that of package.json and names no registry", () => {
  expect(lock.packages[""]).toMatchObject({ version: manifest.version, dependencies: manifest.dependencies });
  expect(lock.packages[""].devDependencies).toEqual(manifest.devDependencies);
  expect(JSON.stringify(lock)).not.toContain('"resolved"');
});

test("the change log has a section for this version", () => {
  expect(read("CHANGELOG.md")).toMatch(new RegExp(`^## \\[${manifest.version.replaceAll(".", "\\.")}\\]`, "m"));
});

function read(path: string): string {
  return readFileSync(`${checkout}${path}`, "utf8");
}
