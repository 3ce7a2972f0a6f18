import type { ServiceInstance } from "../../recipes/index.ts";
import type { GrpcEndpoint } from "./grpc-api.ts";

/** The port of gRPC where an address names none. */
const DEFAULT_PORT = 443;

export interface Endpoints {
  /** The servers that may be called: each address once, and none that is about to leave. */
  readonly endpoints: readonly GrpcEndpoint[];
  /** Those that are left out, since gRPC cannot call their addresses. */
  readonly refused: readonly ServiceInstance[];
}

export function endpointsOf(list: readonly ServiceInstance[]): Endpoints {
  const endpoints = new Map<string, GrpcEndpoint>();
  const refused: ServiceInstance[] = [];
  for (const instance of list) {
    const { address, draining, key, weight, metadata } = instance;
    if (draining || endpoints.has(address)) continue;
    const target = addressOf(address);
    if (target === undefined) {
      refused.push(instance);
      continue;
    }
    const zone = (metadata as { readonly zone?: unknown } | null | undefined)?.zone;
    const attributes = { key, weight, metadata, ...(typeof zone === "string" && { zone }) };
    endpoints.set(address, { addresses: [target], attributes });
  }
  return { endpoints: [...endpoints.values()], refused };
}

function addressOf(address: string): GrpcEndpoint["addresses"][number] | undefined {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length).replace(/^\/\/(?=\/)/, "") };
  const { host, bare, port } =
    /^(?:\[(?<host>[\da-fA-F:.]+)\]|(?<bare>[^\s:/[\]]+))(?::(?<port>\d{1,5}))?$/.exec(address)?.groups ?? {};
  const name = host ?? bare;
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  return name === undefined || number > 65_535 ? undefined : { host: name, port: number };
}
