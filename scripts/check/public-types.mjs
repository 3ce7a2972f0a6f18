// What the published .d.ts files say. A type of another package in them would bind users to our version of it, and a
// change of ours there would be a breaking change of theirs.
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { checkout } from "./command.mjs";

const nodeTypes = '/// <reference types="node" preserve="true" />';

/**
 * Rejects when a declaration that a public door reaches imports anything but Node's own modules. A door of `doors/` may
 * name the package that it is for: its users have that, in their own version.
 */
export async function checkPublicTypes() {
  const { peerDependencies } = JSON.parse(await readFile(`${checkout}package.json`, "utf8"));
  const leaks = new Set();
  for (const door of await publicDoors()) {
    const peers = /\/doors\//.test(door) ? Object.keys(peerDependencies) : [];
    await follow(door, { path: [], seen: new Set(), leaks, peers });
  }
  if (leaks.size > 0) throw new Error(`public types reach other packages:\n${[...leaks].sort().join("\n")}`);
}

/**
 * Rejects when a public door lost its reference to the types of Node: TypeScript 7 includes none by default, and
 * without them nothing that extends EventEmitter has an `on`.
 */
export async function checkDoors() {
  for (const door of await publicDoors()) {
    if (!(await readFile(door, "utf8")).startsWith(nodeTypes)) {
      throw new Error(`${relative(checkout, door)} does not begin with ${nodeTypes}`);
    }
  }
}

async function publicDoors() {
  const { exports } = JSON.parse(await readFile(`${checkout}package.json`, "utf8"));
  const doors = Object.values(exports).flatMap((conditions) => Object.values(conditions).map(({ types }) => types));
  return [...new Set(doors.filter(Boolean))].map((types) => resolve(checkout, types));
}

async function follow(file, { path: from, seen, leaks, peers }) {
  if (seen.has(file)) return;
  seen.add(file);
  const path = [...from, relative(`${checkout}dist`, file)];
  const text = await readFile(file, "utf8");
  for (const [, specifier] of text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
    if (specifier.startsWith(".")) {
      await follow(resolve(dirname(file), specifier.replace(/(\.d)?\.[jt]s$/, ".d.ts")), { path, seen, leaks, peers });
    } else if (!specifier.startsWith("node:") && !peers.includes(specifier)) {
      leaks.add(`  ${specifier}: ${path.join(" > ")}`);
    }
  }
}
