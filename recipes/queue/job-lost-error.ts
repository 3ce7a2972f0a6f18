import { EtcdError } from "../../src/index.ts";

/**
 * The job is not this worker's any more: its lease was lost, its time was over, it was released, or the queue was closed.
 * Somebody else may have it already. `cause` says why where there is more to say; with `outcomeUnknown` it may have been
 * acknowledged all the same.
 */
export class JobLostError extends EtcdError {
  override readonly name = "JobLostError";
  readonly code = "ETCD_JOB_LOST";
}
