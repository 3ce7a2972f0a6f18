import type * as otel from "@opentelemetry/api";
import { InvalidOptionError } from "../../recipes/index.ts";

export type OtelApi = typeof otel;

export interface OtelOptions {
  /**
   * The module: `import * as api from "@opentelemetry/api"`, or `require("@opentelemetry/api")`; version 1.9 or newer.
   */
  api: OtelApi;
  /** Makes the spans. @default the global one */
  tracerProvider?: otel.TracerProvider | undefined;
  /** Keeps the metrics. @default the global one */
  meterProvider?: otel.MeterProvider | undefined;
  /** Whether there are spans. @default true */
  spans?: boolean | undefined;
  /** Whether there are metrics. @default true */
  metrics?: boolean | undefined;
  /**
   * Leaves out the calls to etcd, and the dials, that no span of the program led to: those that recipes make in the
   * background. @default false
   */
  onlyWithParent?: boolean | undefined;
}

const flags = ["spans", "metrics", "onlyWithParent"] as const;
const known = ["api", "tracerProvider", "meterProvider", ...flags];

/** @throws InvalidOptionError */
export function checkOptions(options: OtelOptions): OtelOptions {
  const wrong = (option: string, problem: string) => new InvalidOptionError("startOtel", option, problem);
  if (typeof options !== "object" || options === null) throw wrong("options", `must be an object with the api in it`);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw wrong(unknown, `is no option; there are ${known.join(", ")}`);
  const { api, tracerProvider, meterProvider } = options;
  if (typeof api?.trace?.getTracer !== "function" || typeof api.metrics?.getMeter !== "function") {
    const how = 'npm install @opentelemetry/api, and hand its module in: import * as api from "@opentelemetry/api"';
    throw wrong("api", `must be the module @opentelemetry/api: ${how}`);
  }
  for (const name of flags) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "boolean")
      throw wrong(name, `must be true or false, not ${typeof value}`);
  }
  if (tracerProvider !== undefined && typeof tracerProvider?.getTracer !== "function") {
    throw wrong("tracerProvider", "must have getTracer()");
  }
  if (meterProvider !== undefined && typeof meterProvider?.getMeter !== "function") {
    throw wrong("meterProvider", "must have getMeter()");
  }
  return options;
}
