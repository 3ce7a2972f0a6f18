export { FakeClock, settled } from "./fake-clock.ts";
export { FakeEtcd, type FakeEtcdParts } from "./fake-etcd.ts";
export { type KeyText, keyText } from "./key-text.ts";
export { Link } from "./link.ts";
export type { MemoryEndpoint } from "./memory-connection.ts";
export { MemoryEtcd, type MemoryEtcdOptions } from "./memory-etcd.ts";
export { MemoryProtocol, type MemoryProtocolOptions } from "./memory-protocol.ts";
export { type Loss, type Network, reliableNetwork, type StreamPath } from "./network.ts";
export { watchResponse } from "./watcher.ts";
