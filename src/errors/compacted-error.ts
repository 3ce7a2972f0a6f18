import { EtcdError, type EtcdErrorDetails } from "./etcd-error.ts";

/** The revision that was asked for has been compacted away. */
export class CompactedError extends EtcdError {
  override readonly name = "CompactedError";
  readonly code = "ETCD_COMPACTED";
  /**
   * The oldest revision that a watch can start from, where etcd told it (reads are not told). Servers before 3.5.18 no
   * longer tell of a deletion at exactly this revision.
   */
  readonly compactRevision: number | undefined;

  constructor(message: string, details: EtcdErrorDetails & { compactRevision?: number } = {}) {
    super(message, details);
    this.compactRevision = details.compactRevision;
  }
}
