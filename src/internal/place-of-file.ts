import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, isAbsolute } from "node:path";

/**
 * Where a file is, or is to be: where symbolic links lead, also to no file yet, as a rename to a link would replace the
 * link.
 *
 * A rename would also replace a pipe or a device by a file, and to open a pipe may take for ever: those are refused, as
 * is a folder. The links are followed by the kernel first, so that what it forbids (protected_symlinks) stays so.
 *
 * @param refuse makes the error of what is there and is no file
 * @throws what `refuse` makes, and what the file system says
 */
export async function placeOfFile(path: string, refuse: (problem: string) => Error): Promise<string> {
  const found = await unlessMissing(stat(path));
  if (found && !found.isFile()) {
    throw refuse(`must be the path of a file, not of ${found.isDirectory() ? "a folder" : "a pipe or a device"}`);
  }
  return endOfLinks(path);
}

async function endOfLinks(path: string): Promise<string> {
  const found = await unlessMissing(lstat(path));
  if (!found?.isSymbolicLink()) return path;
  const link = await readlink(path);
  return endOfLinks(isAbsolute(link) ? link : `${dirname(path)}/${link}`);
}

/** @returns undefined when there is nothing at its path */
export async function unlessMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}
