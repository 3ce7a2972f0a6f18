import { access, constants, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CommandError } from "./exit-codes.ts";

/**
 * Makes the folder if need be. etcd would say what is wrong with it in a page of log, and wait without an end for one
 * that another etcd uses.
 *
 * Not guaranteed, and on Linux only: that an etcd which uses it is noticed. One in another container is not.
 *
 * @throws CommandError
 */
export async function prepareDataFolder(folder: string): Promise<void> {
  try {
    await make(folder);
    await readdir(folder);
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new CommandError(`--data-dir ${folder} cannot be used: ${(error as Error).message}`);
  }
  const pid = await userOf(join(folder, "member", "snap", "db"));
  if (pid !== undefined) throw new CommandError(`--data-dir ${folder} is in use by process ${pid}`);
}

/** With those above it. Node's own `recursive` never ends below /proc. */
async function make(folder: string): Promise<void> {
  const mode = 0o700;
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const above = dirname(folder);
    if (code !== "ENOENT" || above === folder) throw error;
    await make(above);
    await mkdir(folder, { mode });
  }
}

/** The process that has locked a file, as etcd locks its database. */
async function userOf(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined);
  const locks = await readFile("/proc/locks", "utf8").catch(() => "");
  if (!found) return undefined;
  // "1: FLOCK  ADVISORY  WRITE 22713 00:1b:184344 0 EOF": the device in hexadecimal digits.
  for (const line of locks.split("\n")) {
    const [, , , mode, pid = "", place = ""] = line.split(/\s+/);
    const [major = "", minor = "", inode = ""] = place.split(":");
    const isIt = Number(inode) === found.ino && deviceOf(major, minor) === found.dev;
    if (mode === "WRITE" && isIt && Number(pid) > 0) return pid;
  }
  return undefined;
}

/** As Linux makes one number of the two: the lower 8 bits of the minor one, the major one, and the rest. */
function deviceOf(majorHex: string, minorHex: string): number {
  const [major, minor] = [Number.parseInt(majorHex, 16), Number.parseInt(minorHex, 16)];
  return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12);
}
