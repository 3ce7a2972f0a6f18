import { EtcdError } from "./etcd-error.ts";

/**
 * An option or argument is unknown or has a bad value. Thrown before any I/O; for the path of a file that cannot be
 * made, before anything is asked of etcd, with what the file system says as its `cause`.
 */
export class InvalidOptionError extends EtcdError {
  override readonly name = "InvalidOptionError";
  readonly code = "ETCD_INVALID_OPTION";
  /** The option or argument that is wrong, as the caller wrote it: `tls.caFile`. */
  readonly option: string;

  /**
   * @param what the class or function that was called
   * @param option the bad option
   * @param problem continues the sentence "<what>: <option> …"
   * @param cause the error underneath, if there is one
   */
  constructor(what: string, option: string, problem: string, cause?: unknown) {
    super(`${what}: ${option} ${problem}`, { cause });
    this.option = option;
  }
}
