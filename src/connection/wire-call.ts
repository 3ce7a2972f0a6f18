import { type ServiceName, serviceDefinition } from "./service-definitions.ts";

/** A call as it goes over the wire: how it is named, and how its answer is read. */
export interface WireCall<Response> {
  readonly path: string;
  readonly name: string;
  decode(bytes: Buffer): Response;
}

/** Messages pass gRPC as bytes: what cannot be encoded or decoded is told as what it is, and not as a broken connection. */
export const asBytes = (bytes: Buffer) => bytes;

/** A call by etcd's own `.proto` files. */
export function stubCall<Response>(service: ServiceName, method: string) {
  const definition = serviceDefinition(service)[method];
  if (!definition) throw new TypeError(`etcd has no ${service}.${method}`);
  const { path, requestSerialize, responseDeserialize } = definition;
  const decode = (bytes: Buffer) => responseDeserialize(bytes) as Response;
  const call: WireCall<Response> = { path, name: `${service}.${method}`, decode };
  return { call, encode: (payload: object) => requestSerialize(payload) };
}
