import files, { mkdtemp, readdir, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { SnapshotFile } from "../../../src/admin/snapshot-file.ts";

// Named imports of modules of Node change only when they are brought up to date.

let folder = "";
afterEach(async () => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  if (folder) await rm(folder, { recursive: true });
});

async function openFailsWith(code: string): Promise<string> {
  folder = await mkdtemp(join(tmpdir(), "etcd-recipes-open-"));
  vi.spyOn(files, "open").mockRejectedValue(Object.assign(new Error(`${code}: it failed, open 'x'`), { code }));
  syncBuiltinESMExports();
  return join(folder, "s.db");
}

test.each(["EMFILE", "ENFILE", "EIO", "ENOSPC"])(
  "%s, of which no path is to blame, is what the file system says, and no bad option",
  async (code) => {
    const file = await openFailsWith(code);
    const error = await SnapshotFile.create(file).catch((failure) => failure);
    expect(error).toMatchObject({ name: "Error", code });
    expect(await readdir(folder)).toEqual([]);
  },
);

test.each(["ENOENT", "ENOTDIR", "EACCES", "EROFS", "ENAMETOOLONG"])("%s is of the path", async (code) => {
  const file = await openFailsWith(code);
  await expect(SnapshotFile.create(file)).rejects.toMatchObject({
    code: "ETCD_INVALID_OPTION",
    option: "file",
    message: expect.stringMatching(`${code}: it failed$`),
    cause: expect.objectContaining({ code }),
  });
});
