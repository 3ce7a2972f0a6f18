import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import * as layer from "../../src/index.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const rooms = readdirSync(`${checkout}doors`).filter((name) => name !== "shared");
const doors = [
  "src/index.ts",
  "recipes/index.ts",
  "testing/index.ts",
  ...rooms.map((name) => `doors/${name}/index.ts`),
];

test.each(doors)("%s lists every name and begins with the types of Node", (door) => {
  const text = read(door);
  // TypeScript 7 includes no types by default: without the reference, nothing that is an EventEmitter has an `on`.
  expect(text.startsWith('/// <reference types="node" preserve="true" />\n')).toBe(true);
  const rest = text.replaceAll(/^export (?:type )?\{[^}]*\} from "[^"]+";$/gm, "").replaceAll(/^\s*\/\/.*$/gm, "");
  expect(rest.trim()).toBe("");
  expect(exportedNames(door).length).toBeGreaterThan(0);
});

test("each folder of doors/ but the shared one is published under its name, and package.json names its peer as optional", () => {
  const { exports, typesVersions, peerDependencies, peerDependenciesMeta } = JSON.parse(read("package.json"));
  const named = ["client", "testing", ...rooms];
  expect(Object.keys(exports).sort()).toEqual([".", "./package.json", ...named.map((name) => `./${name}`)].sort());
  expect(Object.keys(typesVersions["*"]).sort()).toEqual(named.sort());
  expect(Object.keys(peerDependenciesMeta)).toEqual(Object.keys(peerDependencies));
  for (const { optional } of Object.values<{ optional: boolean }>(peerDependenciesMeta)) expect(optional).toBe(true);
});

test("every index.ts lists names: none hands on what it does not name", () => {
  const indexes = ["src", "recipes", "testing", "doors"].flatMap((room) =>
    readdirSync(`${checkout}${room}`, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith("index.ts"))
      .map((path) => `${room}/${path}`),
  );
  expect(indexes).toContain("src/kv/index.ts");
  expect(indexes.filter((path) => /export \*|export default/.test(read(path)))).toEqual([]);
});

test("etcd-recipes has every name of etcd-recipes/client: one import is enough", () => {
  const names = exportedNames("src/index.ts");
  expect(names).toEqual(expect.arrayContaining(Object.keys(layer)));
  expect(exportedNames("recipes/index.ts")).toEqual(expect.arrayContaining(names));
});

/** Types too, which are gone at run time. */
function exportedNames(door: string): string[] {
  return [...read(door).matchAll(/export (?:type )?\{([^}]*)\}/g)]
    .flatMap(([, list = ""]) => list.split(","))
    .map((entry) =>
      entry
        .replace(/^\s*type /, "")
        .replace(/.* as /, "")
        .trim(),
    )
    .filter((entry) => entry !== "");
}

function read(path: string): string {
  return readFileSync(`${checkout}${path}`, "utf8");
}
