// The package as a stranger gets it: packed once, for all steps that look at it.
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { npm } from "./command.mjs";

let packing;

/** The path of the packed package; it is there until this process ends. */
export function packed() {
  packing ??= pack();
  return packing;
}

async function pack() {
  const folder = await newFolder();
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const [{ filename }] = JSON.parse(await npm(["pack", "--json", "--pack-destination", folder]));
  return join(folder, filename);
}

/** Runs `use(folder, tarball)` in an empty folder. */
export async function withPacked(use) {
  const tarball = await packed();
  const folder = await newFolder();
  try {
    return await use(folder, tarball);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function newFolder() {
  return mkdtemp(join(tmpdir(), "etcd-recipes-packed-"));
}
