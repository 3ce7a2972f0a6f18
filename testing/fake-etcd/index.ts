export { type KeyText, keyText } from "./key-text.ts";
export { MemoryEtcd, type MemoryEtcdOptions } from "./memory-etcd.ts";
export { type MemoryEndpoint, MemoryProtocol, type MemoryProtocolOptions } from "./memory-protocol.ts";
export { type Loss, type Network, reliableNetwork, type StreamPath } from "./network.ts";
export { watchResponse } from "./watcher.ts";
