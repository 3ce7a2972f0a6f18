// The package as a stranger gets it: packed once, for all steps that install it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { npm } from "./command.mjs";

/** Runs `use(folder)` in an empty folder with the packed package in `folder/etcd-recipes.tgz`. */
export async function withPacked(use) {
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-packed-"));
  try {
    const [{ filename }] = JSON.parse(await npm(["pack", "--json", "--pack-destination", folder]));
    return await use(folder, join(folder, filename));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
