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

/**
 * What the token stood for is not held any more: the write was not executed. Also the reason of the signal of a term or
 * a lock that its owner gave up.
 */
export class FencedOutError extends EtcdError {
  override readonly name = "FencedOutError";
  readonly code = "ETCD_FENCED_OUT";
}

/**
 * The job is not this worker's any more: its lease was lost, its time was over, it was released, or the queue was
 * closed. Another owner may have it already. `cause` says why where there is more to say; with `outcomeUnknown` it may
 * have been acknowledged all the same.
 */
export class JobLostError extends EtcdError {
  override readonly name = "JobLostError";
  readonly code = "ETCD_JOB_LOST";
}

/** So much is missing at once that it looks like an accident; it is held back. */
export class MassRemovalError extends EtcdError {
  override readonly name = "MassRemovalError";
  readonly code = "ETCD_MASS_REMOVAL";
}

/** This confirmation was not requested, or so long ago that etcd no longer knows of it. */
export class NotRequestedError extends EtcdError {
  override readonly name = "NotRequestedError";
  readonly code = "ETCD_NOT_REQUESTED";
}

/**
 * The key of a registration is not in etcd any more, although its lease may live: deleted by hand, or etcd was wiped.
 */
export class RegistrationLostError extends EtcdError {
  override readonly name = "RegistrationLostError";
  readonly code = "ETCD_REGISTRATION_LOST";
}
