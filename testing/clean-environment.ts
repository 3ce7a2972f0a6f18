/**
 * The environment for the processes of a cluster: the parent's, without what would change them unseen. Every `ETCD_*`
 * is a flag to etcd, but for `ETCD_UNSUPPORTED_ARCH`, without which it ends on some processors; every `*_PROXY` would lead its peer traffic away, `NODE_OPTIONS` is meant for the parent.
 */
export function cleanEnvironment(inherited: Readonly<NodeJS.ProcessEnv>): NodeJS.ProcessEnv {
  const kept = Object.entries(inherited).filter(
    ([name]) => !/^ETCD_(?!UNSUPPORTED_ARCH$)|_proxy$|^NODE_OPTIONS$/i.test(name),
  );
  return Object.fromEntries(kept);
}
