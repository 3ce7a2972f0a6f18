/** An etcd process ended or did not get ready; the message ends with the last lines of its log. */
export class EtcdStartError extends Error {
  override readonly name = "EtcdStartError";
  readonly code = "ETCD_START_FAILED";
  /** The last lines that the member wrote. */
  readonly logTail: string;

  constructor(problem: string, logTail: string) {
    super(`${problem}\n${logTail}`);
    this.logTail = logTail;
  }
}
