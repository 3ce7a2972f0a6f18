import {
  InvalidOptionError,
  type Lease,
  LeaseNotFoundError,
  PermissionDeniedError,
  RequestRefusedError,
} from "../../src/index.ts";
import { endsRetries } from "../../src/internal/index.ts";

/**
 * `refused`: etcd or the client refuses this one step, and its key says whether it is tried again. `leaseGone`: nothing
 * was done, and it is asked for again at once, for another lease. `end`: no retry can change it, for any step.
 * `unknown`: it may have been done or not, and is asked for again after a pause.
 */
export type StepFailure = "refused" | "leaseGone" | "end" | "unknown";

/** What was sent when it failed. */
export interface FailedRequest {
  /** The lease that the steps were asked for with. */
  readonly lease: Lease | undefined;
  /** Whether it had one step only, which is to blame then. */
  readonly isAlone: boolean;
  /** Whether etcd has let them write before: what it refuses later is waited out. */
  readonly hasWorked: boolean;
}

/** What the failure of a request means for the steps in it. */
export function stepFailure(error: unknown, { lease, isAlone, hasWorked }: FailedRequest): StepFailure {
  if (isAlone && (isOfValue(error) || error instanceof PermissionDeniedError)) return "refused";
  if (lease && error instanceof LeaseNotFoundError) return "leaseGone";
  return endsRetries(error, hasWorked) ? "end" : "unknown";
}

/** Whether another value could be written: etcd refuses this one, or the client cannot send it. */
export function isOfValue(error: unknown): boolean {
  return error instanceof RequestRefusedError || error instanceof InvalidOptionError;
}
