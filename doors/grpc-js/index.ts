/// <reference types="node" preserve="true" />
// The door `etcd-recipes/grpc-js`: `etcd:///prefix` as a target of @grpc/grpc-js.
export {};
