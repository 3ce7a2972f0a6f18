import type { SpanContext } from "@opentelemetry/api";
import type { OtelApi } from "./options.ts";

/** etcd keeps it with every job: no more of it than other systems have to hand on. */
const MOST_STATE = 512;

/**
 * A span's context as text, whichever propagators the program has: a job's span only needs a link.
 *
 * Source: W3C Trace Context, level 1.
 */
export function writeTraceParent({ traceId, spanId, traceFlags, traceState }: SpanContext): Record<string, string> {
  const flags = (traceFlags & 0xff).toString(16).padStart(2, "0");
  const state = traceState?.serialize() ?? "";
  return {
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    ...(state !== "" && state.length <= MOST_STATE && { tracestate: state }),
  };
}

/** @returns undefined for what is none */
export function readTraceParent(
  api: OtelApi,
  context: Readonly<Record<string, string>> | undefined,
): SpanContext | undefined {
  const [, traceId, spanId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(context?.traceparent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const traceState = context?.tracestate === undefined ? undefined : api.createTraceState(context.tracestate);
  const read = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(traceState && { traceState }),
  };
  return api.isSpanContextValid(read) ? read : undefined;
}
