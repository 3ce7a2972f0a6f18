import type { Context } from "@opentelemetry/api";
import type { Job } from "../../recipes/index.ts";
import { startMeasuring } from "./metrics.ts";
import { checkOptions, type OtelOptions } from "./options.ts";
import { Spans } from "./spans.ts";

/** The scope of the instrumentation. */
const SCOPE = "etcd-recipes";

/** Spans and metrics, until `close()`. */
export interface Otel extends Disposable {
  /**
   * The context with the span of a job, for the work on it: `api.context.with(otel.contextOf(job), () => work(job))`.
   * The active context for a job that was handed out before.
   */
  contextOf(job: Job): Context;
  /**
   * No span begins any more, and nothing is measured. A span that is under way ends with what it stands for: close the
   * recipes before the providers, so that it is exported. Calling this again is harmless.
   */
  close(): void;
}

/**
 * Begins with spans and metrics of what this process does with etcd. The module of the API is handed in, so that there
 * is one of it, whatever a bundler does. Attributes follow the semantic conventions of OpenTelemetry, version 1.45.
 *
 * ```ts
 * import * as api from "@opentelemetry/api";
 * const otel = startOtel({ api });
 * ```
 *
 * @throws InvalidOptionError, which says what to install
 */
export function startOtel(options: OtelOptions): Otel {
  const { api, spans = true, metrics = true, onlyWithParent = false, ...providers } = checkOptions(options);
  const { tracerProvider = api.trace, meterProvider = api.metrics } = providers;
  const tracing = spans ? new Spans({ api, tracer: tracerProvider.getTracer(SCOPE), onlyWithParent }) : undefined;
  const endMetrics = metrics ? startMeasuring(meterProvider.getMeter(SCOPE)) : undefined;
  const close = () => {
    tracing?.close();
    endMetrics?.();
  };
  return {
    contextOf: (job) => tracing?.contextOf(job) ?? api.context.active(),
    close,
    [Symbol.dispose]: close,
  };
}
