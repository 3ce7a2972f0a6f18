import { createRequire } from "node:module";
import { dirname, join } from "node:path";
// biome-ignore lint/style/noRestrictedImports: the oracle of the codec, which reads etcd's own .proto files
import type { ServiceDefinition } from "@grpc/grpc-js";
// biome-ignore lint/style/noRestrictedImports: as above
import { loadSync } from "@grpc/proto-loader";
import type { ServiceName } from "../../src/connection/codec/stub-messages.ts";

let definitions: Record<ServiceName, ServiceDefinition> | undefined;

/** What proto-loader makes of the `.proto` files that etcd3 ships: the codec is compared with it. */
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
    const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
    const stubName = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);
    return Object.fromEntries(methods.map((method) => [stubName(nameOf(method.path)), method]));
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
