import type { ServiceInstance } from "../../recipes/index.ts";

/** Warns of each address that gRPC cannot call once, as long as it stays in the list under its prefix. */
export class RefusedAddresses {
  readonly #known = new Map<string, ReadonlySet<string>>();

  /** @param refused all of them that the list under the prefix has now */
  warn(prefix: string, refused: readonly ServiceInstance[]): void {
    const known = this.#known.get(prefix);
    const warnings = new Set(refused.map(warningOf));
    for (const warning of warnings) {
      if (known?.has(warning)) continue;
      process.emitWarning(warning, { type: "EtcdWarning", code: "ETCD_INVALID_ADDRESS" });
    }
    if (warnings.size > 0) this.#known.set(prefix, warnings);
    else this.#known.delete(prefix);
  }
}

function warningOf({ key, address }: ServiceInstance): string {
  return `${key}: ${JSON.stringify(address)} is no address for gRPC: host:port, or unix:/path`;
}
