/// <reference types="node" preserve="true" />
// The door `etcd-recipes/undici`: `fetch("http://orders/…")` to a server of a list.
export { type EtcdInterceptor, type EtcdOptions, etcd, type RequestOutcome } from "./etcd-interceptor.ts";
