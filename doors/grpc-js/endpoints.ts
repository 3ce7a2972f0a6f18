import type { ServiceInstance } from "../../recipes/index.ts";
import type { GrpcEndpoint } from "./grpc-api.ts";

/** The port of gRPC where an address names none. */
const DEFAULT_PORT = 443;

/** The servers that may be called: each address once, and none that is about to leave. */
export function endpointsOf(list: readonly ServiceInstance[]): readonly GrpcEndpoint[] {
  const endpoints = new Map<string, GrpcEndpoint>();
  for (const { address, draining, key, weight, metadata } of list) {
    if (draining || endpoints.has(address)) continue;
    const target = addressOf(address);
    if (target === undefined) {
      process.emitWarning(`${key}: ${JSON.stringify(address)} is no address for gRPC: host:port, or unix:/path`, {
        type: "EtcdWarning",
        code: "ETCD_INVALID_ADDRESS",
      });
      continue;
    }
    const zone = (metadata as { readonly zone?: unknown } | null | undefined)?.zone;
    const attributes = { key, weight, metadata, ...(typeof zone === "string" && { zone }) };
    endpoints.set(address, { addresses: [target], attributes });
  }
  return [...endpoints.values()];
}

function addressOf(address: string): GrpcEndpoint["addresses"][number] | undefined {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length).replace(/^\/\/(?=\/)/, "") };
  const { host, bare, port } =
    /^(?:\[(?<host>[\da-fA-F:.]+)\]|(?<bare>[^\s:/[\]]+))(?::(?<port>\d{1,5}))?$/.exec(address)?.groups ?? {};
  const name = host ?? bare;
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  return name === undefined || number > 65_535 ? undefined : { host: name, port: number };
}
