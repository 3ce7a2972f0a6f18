import { decodeMessage, encodeMessage, type Message } from "./message-table.ts";
import { type ServiceName, stubMethods } from "./stub-messages.ts";

/** A call as it goes over the wire: how it is named, and how its answer is read. */
export interface WireCall<Response> {
  readonly path: string;
  readonly name: string;
  /** It is about the member that is asked: it goes without `hasleader`. @default false */
  readonly ofMember?: boolean;
  decode(bytes: Buffer): Response;
}

/** What a member says of itself, or does alone. */
const ofMember = new Set(["defragment", "hash", "hashKV", "moveLeader", "snapshot", "status"]);

/** A call of etcd3's typed stubs, which are for calls that are seldom made. */
export function stubCall<Response>(service: ServiceName, method: string) {
  const messages = stubMethods[service]?.[method];
  if (!messages) throw new TypeError(`${service}.${method} is not among the calls that this client makes`);
  const call: WireCall<Response> = {
    path: `/etcdserverpb.${service}/${method.charAt(0).toUpperCase()}${method.slice(1)}`,
    name: `${service}.${method}`,
    ofMember: service === "Maintenance" && ofMember.has(method),
    decode: (bytes) => decodeMessage(messages.response, bytes) as Response,
  };
  return { call, encode: (payload: object) => encodeMessage(messages.request, payload as Message) };
}
