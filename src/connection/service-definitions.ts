import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export type ServiceName = "KV" | "Watch" | "Lease" | "Maintenance" | "Cluster" | "Auth";

let definitions: Record<ServiceName, ServiceDefinition> | undefined;

/**
 * The services of etcd's own `.proto` files, for calls that are seldom made: what is on the way of every key and event is
 * encoded and decoded by Codec. Loaded when first needed.
 */
export function serviceDefinition(service: ServiceName): ServiceDefinition {
  definitions ??= loadDefinitions();
  return definitions[service];
}

function loadDefinitions(): Record<ServiceName, ServiceDefinition> {
  const packageJson = createRequire(import.meta.url).resolve("etcd3/package.json");
  const loaded = loadSync(join(dirname(packageJson), "proto", "rpc.proto"), {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  // By the names that etcd3's stubs use: `leaseGrant`, where the .proto file says `LeaseGrant`.
  const named = (service: ServiceName): ServiceDefinition => {
    const methods = Object.values(loaded[`etcdserverpb.${service}`] as ServiceDefinition);
    return Object.fromEntries(methods.map((method) => [method.originalName ?? method.path, method]));
  };
  return {
    KV: named("KV"),
    Watch: named("Watch"),
    Lease: named("Lease"),
    Maintenance: named("Maintenance"),
    Cluster: named("Cluster"),
    Auth: named("Auth"),
  };
}
