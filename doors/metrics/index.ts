/// <reference types="node" preserve="true" />
// The door `etcd-recipes/metrics`: what the diagnostics channels say, as metrics for Prometheus.
export {};
