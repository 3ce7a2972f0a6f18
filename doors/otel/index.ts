/// <reference types="node" preserve="true" />
// The door `etcd-recipes/otel`: what the diagnostics channels say, as spans and metrics of OpenTelemetry.
export type { OtelApi, OtelOptions } from "./options.ts";
export { type Otel, startOtel } from "./start-otel.ts";
