import { existsSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";

/**
 * Makes a folder with links to some tools of this machine. A program whose PATH is this folder alone meets nothing else
 * that the machine has.
 *
 * @returns the folder
 */
export async function pathOf(folder: string, tools: readonly string[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  // A link may be there already.
  for (const tool of tools) await symlink(which(tool), join(folder, tool)).catch(() => {});
  return folder;
}

function which(tool: string): string {
  const candidates = (process.env.PATH ?? "").split(delimiter).map((entry) => join(entry, tool));
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found === undefined) throw new Error(`this test needs ${tool}`);
  return found;
}
