import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(read("package.json"));
const lock = JSON.parse(read("package-lock.json"));

test("the tarball holds the doors, the installer and the papers, and nothing else of the checkout", async () => {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json"], { cwd: checkout });
  const paths: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  const targets = Object.values<string | object>(manifest.exports).flatMap((target) => Object.values(target));
  for (const target of targets.filter((path) => path.startsWith("./dist/"))) expect(paths).toContain(target.slice(2));
  const others = paths.filter((path) => !/^dist\/(src|recipes|testing)\/.+\.(js|js\.map|d\.ts)$/.test(path));
  expect(others.sort()).toEqual([
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "README.zh-CN.md",
    "package.json",
    "scripts/etcd-recipes-etcd.mjs",
  ]);
});

test("types come first in every door, or TypeScript would not see them", () => {
  const doors = Object.entries<object>(manifest.exports).filter(([, target]) => typeof target === "object");
  expect(doors.map(([door]) => door)).toEqual([".", "./client", "./testing"]);
  for (const [, target] of doors) expect(Object.keys(target)).toEqual(["types", "default"]);
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

test("what declarations and messages rely on is pinned", () => {
  // Other versions of etcd3 have other stubs. @types/node is for users: our declarations refer to it.
  expect(manifest.dependencies.etcd3).toMatch(/^\d+\.\d+\.\d+$/);
  expect(manifest.dependencies).toHaveProperty("@types/node");
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

test("the change log tells about this version", () => {
  expect(read("CHANGELOG.md")).toMatch(new RegExp(`^## \\[${manifest.version.replaceAll(".", "\\.")}\\]`, "m"));
});

function read(path: string): string {
  return readFileSync(`${checkout}${path}`, "utf8");
}
