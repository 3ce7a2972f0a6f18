/**
 * An etcd process could not be started, ended or did not get ready; the message ends with the last lines of its log.
 */
export class EtcdStartError extends Error {
  override readonly name = "EtcdStartError";
  readonly code = "ETCD_START_FAILED";
  /** The last lines that the member wrote. */
  readonly logTail: string;

  constructor(problem: string, logTail: string, options?: ErrorOptions) {
    super(logTail === "" ? problem : `${problem}\n${logTail}`, options);
    this.logTail = logTail;
  }
}
