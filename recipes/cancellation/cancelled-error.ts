import { EtcdError } from "../../src/index.ts";

/** A run was cancelled: the reason of its signal. */
export class CancelledError extends EtcdError {
  override readonly name = "CancelledError";
  readonly code = "ETCD_CANCELLED";
  readonly runId: string;
  /** As the first one who cancelled it said; empty when nothing was said. */
  readonly reason: string;

  constructor(runId: string, reason: string) {
    super(`${runId} was cancelled${reason === "" ? "" : `: ${reason}`}`);
    this.runId = runId;
    this.reason = reason;
  }
}
