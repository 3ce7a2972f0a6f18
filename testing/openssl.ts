import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const limitMs = 20_000;

/** There is no `openssl` on `PATH`, which makes the certificates of a cluster under TLS. */
export class OpensslNotFoundError extends Error {
  override readonly name = "OpensslNotFoundError";
  readonly code = "ETCD_OPENSSL_NOT_FOUND";

  constructor(options?: ErrorOptions) {
    super("there is no openssl on PATH; startEtcd({ tls }) makes its certificates with it. Install OpenSSL", options);
  }
}

/**
 * Runs `openssl` in a folder.
 *
 * @throws OpensslNotFoundError when it is not on `PATH`; Error with what it wrote when it fails
 */
export async function runOpenssl(folder: string, args: readonly string[]): Promise<void> {
  try {
    await run("openssl", args, { cwd: folder, timeout: limitMs });
  } catch (cause) {
    if (isMissing(cause)) throw new OpensslNotFoundError({ cause });
    const text = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : String(cause);
    throw new Error(`openssl ${args[0]} failed: ${text.trim()}`, { cause });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
