/// <reference types="node" preserve="true" />
// The door `etcd-recipes/connect`: calls of connect-es to a server that the list chose.
export { type PickingTransportOptions, pickingTransport, type TransportLike } from "./picking-transport.ts";
