/// <reference types="node" preserve="true" />
export type { AuthSetup, AuthUserSetup } from "./auth-options.ts";
export type { AuthPermission, PermittedKeys } from "./auth-permission.ts";
export type { Certificate, CertificateRequest } from "./certificate-authority.ts";
export { ClusterAuth } from "./cluster-auth.ts";
export { ClusterTimeoutError } from "./cluster-timeout-error.ts";
export { ClusterTls, type IssueOptions } from "./cluster-tls.ts";
export { type ClusterClientOptions, EtcdCluster, type LeaderWaitOptions } from "./etcd-cluster.ts";
export type { EtcdMember } from "./etcd-member.ts";
export { EtcdNotFoundError } from "./etcd-not-found-error.ts";
export { EtcdStartError } from "./etcd-start-error.ts";
export type { FakeEtcd } from "./fake-etcd/index.ts";
export { type FakeEtcdOptions, fakeEtcd } from "./fake-etcd.ts";
export { FaultProxy, type FaultProxyTarget } from "./fault-proxy.ts";
export { type EtcdBinary, findEtcd } from "./find-etcd.ts";
export { OpensslNotFoundError } from "./openssl.ts";
export type { FaultDirection } from "./proxied-connection.ts";
export { type StartEtcdOptions, startEtcd } from "./start-etcd.ts";
export type { TlsSetup } from "./tls-options.ts";
