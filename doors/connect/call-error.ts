/** Codes of Connect, and of gRPC. */
export const CANCELED = 1;
export const DEADLINE_EXCEEDED = 4;
export const UNAVAILABLE = 14;

/** Unknown, DeadlineExceeded, Internal, Unavailable, DataLoss: the others are answers. */
const failures = new Set([2, DEADLINE_EXCEEDED, 13, UNAVAILABLE, 15]);

/** What has failed when a connection was never made. The same codes come from `read`, when one breaks. */
const syscallsOfConnecting = new Set<unknown>(["connect", "getaddrinfo"]);

/** Whether an error says that its server has failed. */
export function isServersFailure(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code !== "number" || failures.has(code);
}

/** Whether the request has not left. */
export function isUnsent(error: unknown): boolean {
  let cause = error as { readonly cause?: unknown } | null | undefined;
  for (let depth = 0; cause && depth < 5; depth++) {
    if (isOfConnecting(cause)) return true;
    cause = cause.cause as typeof cause;
  }
  return false;
}

function isOfConnecting(error: unknown): boolean {
  const { code, syscall, errors } = (error ?? {}) as Partial<Record<"code" | "syscall" | "errors", unknown>>;
  // Of a host with several addresses, one for each: only the code of the first is that of the whole, and no syscall.
  if (Array.isArray(errors)) return errors.length > 0 && errors.every(isOfConnecting);
  return syscallsOfConnecting.has(syscall) || code === "UND_ERR_CONNECT_TIMEOUT";
}

/**
 * An error that is `instanceof ConnectError`: that goes by these fields, so that two copies of connect-es in a process
 * are no problem, and none has to be loaded here.
 */
export function connectError(code: number, name: string, cause: unknown): Error {
  const rawMessage = cause instanceof Error ? cause.message : String(cause);
  const error = new Error(`[${name}] ${rawMessage}`);
  return Object.assign(error, { name: "ConnectError", code, rawMessage, metadata: new Headers(), details: [], cause });
}
