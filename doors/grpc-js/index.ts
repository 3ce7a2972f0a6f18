/// <reference types="node" preserve="true" />
// The door `etcd-recipes/grpc-js`: `etcd:///prefix` as a target of @grpc/grpc-js.
export type { GrpcJs } from "./grpc-api.ts";
export { type EtcdResolver, type EtcdResolverOptions, registerEtcdResolver } from "./register-etcd-resolver.ts";
