import { ClientClosedError } from "../errors/client-closed-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { ExhaustedError } from "../errors/exhausted-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";

/**
 * Whether etcd refuses who asks: a permission, a user or a password is missing. An operator corrects that on the
 * server, so what has worked before is tried again, for ever and slowly.
 */
export function isDenied(error: unknown): error is PermissionDeniedError | UnauthenticatedError {
  return error instanceof PermissionDeniedError || error instanceof UnauthenticatedError;
}

/** Whether etcd looked at a request and said no: to who asks, or to the request as it is. */
export function isRefusal(error: unknown): boolean {
  return isDenied(error) || error instanceof RequestRefusedError;
}

/** Whether etcd's space is used up. What it refuses for that can have been stored (see `ExhaustedError`). */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof ExhaustedError && !error.retryable;
}

/** Whether nothing outside this process can make it work again: a closed client, a bad argument, a bug. */
export function isFinal(error: unknown): boolean {
  return !(error instanceof EtcdError) || error instanceof ClientClosedError || error instanceof InvalidOptionError;
}

/**
 * Whether a loop that otherwise retries for ever ends with this error. A refusal ends it only before its first success,
 * where it shows a mistake of the caller at once.
 */
export function endsRetries(error: unknown, hasWorked: boolean): boolean {
  return isFinal(error) || (!hasWorked && isRefusal(error));
}
