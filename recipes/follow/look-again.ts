/**
 * etcd is asked again this often even if nothing is heard of a key or a prefix: old servers can lose a watch's event.
 */
export const LOOK_AGAIN_MS = 30_000;
