import type { Attributes } from "@opentelemetry/api";

/** `server.address` and `server.port` of a URL, or of `host:port`. What is neither is an address as it stands. */
export function serverAttributes(address: string | undefined): Attributes {
  if (address === undefined) return {};
  const [, host, port] = /^(?:\w+:\/\/)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?(?:\/|$)/.exec(address) ?? [];
  if (!host) return { "server.address": address };
  return {
    "server.address": host.replace(/^\[|\]$/g, ""),
    ...(port !== undefined && { "server.port": Number(port) }),
  };
}
