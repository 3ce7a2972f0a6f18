import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { SnapshotPart } from "../connection/index.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import { quoted } from "../errors/shown.ts";
import { asError } from "../internal/as-error.ts";
import { placeOfFile } from "../internal/place-of-file.ts";

/** A snapshot that is whole. */
export interface SavedSnapshot {
  /** How long the file is. */
  readonly bytes: number;
  /**
   * The sum over all but its last 32 bytes, in hex: those are the sum, and `etcdutl snapshot restore` looks at them.
   */
  readonly sha256: string;
  /** Of the etcd that it was taken from. Since etcd 3.6. */
  readonly version: string | undefined;
}

export interface SnapshotProgress {
  readonly writtenBytes: number;
  readonly totalBytes: number;
}

const SUM_BYTES = 32;

/**
 * A snapshot on its way to a file. It is written beside it under another name, and gets its own when it is whole, its
 * sum is right and it is on the disk: whatever ends this process, the file is as it was before or whole.
 */
export class SnapshotFile {
  readonly #path: string;
  readonly #partPath: string;
  readonly #handle: FileHandle;
  readonly #hash = createHash("sha256");
  /** What may be the sum, or a part of it. */
  #tail: Buffer = Buffer.alloc(0);
  #bytes = 0;
  #totalBytes: number | undefined;
  #version: string | undefined;

  private constructor(path: string, partPath: string, handle: FileHandle) {
    this.#path = path;
    this.#partPath = partPath;
    this.#handle = handle;
  }

  /**
   * For the owner alone to read: it has the passwords of all users in it, if only their hashes.
   *
   * @throws InvalidOptionError when there can be no such file; else what the file system says (`EMFILE`, …)
   */
  static async create(path: string): Promise<SnapshotFile> {
    const refuse = (problem: string, cause?: unknown) =>
      new InvalidOptionError("maintenance.snapshot", "file", problem, cause);
    try {
      // Else only the last step, when all has come, would say so.
      const place = await placeOfFile(path, (problem) => refuse(`${problem}: ${quoted(path)}`));
      const partPath = `${place}.${randomUUID()}.part`;
      return new SnapshotFile(place, partPath, await open(partPath, "wx", 0o600));
    } catch (error) {
      if (!isOfPath.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      // Node's words name the part beside it, which the caller does not know.
      const [reason] = asError(error).message.split(/, (?:l?stat|open|readlink) /);
      const problem = "must be the path of a file, in a folder that can be written to";
      throw refuse(`${problem}: ${quoted(path)}: ${reason}`, error);
    }
  }

  async write({ bytes, remainingBytes, version }: SnapshotPart): Promise<SnapshotProgress> {
    this.#add(bytes);
    this.#version ??= version;
    this.#totalBytes ??= bytes.length + remainingBytes + SUM_BYTES;
    await this.#handle.writeFile(bytes);
    this.#bytes += bytes.length;
    return { writtenBytes: this.#bytes, totalBytes: this.#totalBytes };
  }

  /** @throws ProtocolError when its sum is wrong, or it has none */
  async finish(): Promise<SavedSnapshot> {
    const sha256 = this.#hash.digest("hex");
    if (this.#tail.length < SUM_BYTES || this.#tail.toString("hex") !== sha256) {
      throw new ProtocolError(`what came are ${this.#bytes} bytes that do not end with their own sha256`);
    }
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#partPath, this.#path);
    await syncFolder(dirname(this.#path));
    return { bytes: this.#bytes, sha256, version: this.#version };
  }

  /** Nothing of it stays. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#partPath, { force: true });
  }

  /** All but the last 32 bytes of what has come go into the sum. */
  #add(bytes: Buffer): void {
    const known = bytes.length >= SUM_BYTES ? this.#tail : Buffer.concat([this.#tail, bytes]);
    if (known === this.#tail) {
      this.#hash.update(this.#tail);
      this.#hash.update(bytes.subarray(0, -SUM_BYTES));
      this.#tail = Buffer.from(bytes.subarray(-SUM_BYTES));
      return;
    }
    const rest = Math.max(0, known.length - SUM_BYTES);
    this.#hash.update(known.subarray(0, rest));
    this.#tail = Buffer.from(known.subarray(rest));
  }
}

/** What is wrong with the path. All else, such as too many open files, would be so at any other path. */
const isOfPath = new Set("EACCES EEXIST EISDIR ELOOP ENAMETOOLONG ENOENT ENOTDIR EPERM EROFS".split(" "));

/** A folder may be writable and not readable, and some file systems and systems sync no folders. */
const cannotSync = new Set(["EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EPERM"]);

/** So that the new name is on the disk as well, where that can be had: the file is in its place, and whole. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    if (!cannotSync.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
