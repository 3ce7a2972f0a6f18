/// <reference types="node" preserve="true" />
// The door `etcd-recipes/otel`: what the diagnostics channels say, as spans and metrics of OpenTelemetry.
export {};
