import { startEtcd as startPlainEtcd } from "../../testing/index.ts";

// biome-ignore lint/performance/noReExportAll: it stands in the place of the whole door
export * from "../../testing/index.ts";

/** How many were started by this process. */
export const started = { clusters: 0 };

/**
 * Starts an etcd under mutual TLS with authentication on; clients find their certificates and their user in the
 * environment.
 */
export const startEtcd: typeof startPlainEtcd = async (options = {}) => {
  const cluster = await startPlainEtcd({ ...options, tls: true, auth: true });
  const { tls, auth } = cluster.clientOptions;
  if (!tls || !auth) throw new Error("the cluster is not secure");
  started.clusters++;
  Object.assign(process.env, {
    ETCD_CACERT: tls.caFile,
    ETCD_CERT: tls.certFile,
    ETCD_KEY: tls.keyFile,
    ETCD_USERNAME: auth.username,
    ETCD_PASSWORD: auth.password,
  });
  return cluster;
};
