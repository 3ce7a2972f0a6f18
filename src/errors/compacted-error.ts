import { EtcdError, type EtcdErrorDetails } from "./etcd-error.ts";

/**
 * The revision that was asked for has been compacted away. A follower reads the range again and watches from the
 * revision after that of the read.
 */
export class CompactedError extends EtcdError {
  override readonly name = "CompactedError";
  readonly code = "ETCD_COMPACTED";
  /**
   * How far etcd is compacted, where it said so (to a read that it refuses it does not). The state at this revision can
   * still be read, the events up to it cannot: a watch can start from the next one. Etcd itself would start one here,
   * but before 3.5.18 it says nothing of a deletion at this very revision, so a watch that starts here is refused
   * with this error, whatever the version.
   */
  readonly compactRevision: number | undefined;

  constructor(message: string, details: EtcdErrorDetails & { compactRevision?: number } = {}) {
    super(message, details);
    this.compactRevision = details.compactRevision;
  }
}
