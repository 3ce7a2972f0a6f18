/// <reference types="node" preserve="true" />
export { ClusterTimeoutError } from "./cluster-timeout-error.ts";
export { EtcdCluster, type LeaderWaitOptions } from "./etcd-cluster.ts";
export type { EtcdMember } from "./etcd-member.ts";
export { EtcdNotFoundError } from "./etcd-not-found-error.ts";
export { EtcdStartError } from "./etcd-start-error.ts";
export { FaultProxy, type FaultProxyTarget } from "./fault-proxy.ts";
export { type EtcdBinary, findEtcd } from "./find-etcd.ts";
export type { FaultDirection } from "./proxied-connection.ts";
export { type StartEtcdOptions, startEtcd } from "./start-etcd.ts";
