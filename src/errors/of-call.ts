import { EtcdError, type EtcdErrorDetails } from "./etcd-error.ts";
import { InvalidOptionError } from "./invalid-option-error.ts";

type Made = new (message: string, details: EtcdErrorDetails) => EtcdError;

/**
 * The error of a call as its caller gets it: of the same class, with the call in its message, and with a stack of its
 * own. Many callers can share one request, and its error: that one stays as it is, and is the cause.
 *
 * @param call the call and its key, never a value: `get "/svc/a"`
 */
export function errorOfCall(call: () => string, error: unknown, signal: AbortSignal | undefined): unknown {
  // One that names an option names the call, too.
  if (!isOurs(error, signal) || error instanceof InvalidOptionError) return error;
  const Same = error.constructor as Made;
  return new Same(`${call()}: ${error.message}`, { ...error, cause: error });
}

/** The error that ends a call which may have been executed: the same error, which many calls can share, says so. */
export function withUnknownOutcome(error: unknown, signal: AbortSignal | undefined): unknown {
  if (!isOurs(error, signal) || error.outcomeUnknown) return error;
  const Same = error.constructor as Made;
  return new Same(error.message, { ...error, cause: error.cause, outcomeUnknown: true });
}

/** The reason of an abort is the caller's own, also where it is an EtcdError. */
function isOurs(error: unknown, signal: AbortSignal | undefined): error is EtcdError {
  return error instanceof EtcdError && !(signal?.aborted && signal.reason === error);
}
