import type { RequestField } from "./hpack/hpack-encoder.ts";
import type { Metadata } from "./metadata.ts";

/** Names of gRPC's and HTTP's own, which a caller must not set. */
const reserved = new Set(["te", "content-type", "user-agent", "host", "connection", "transfer-encoding", "upgrade"]);

/**
 * The fields of metadata as they go over the wire: bytes as base64 without padding.
 *
 * @throws TypeError for a name or a value that cannot be sent
 */
export function fieldsOf(metadata: Metadata): RequestField[] {
  return metadata.map(([name, value]) => {
    if (!/^[0-9a-z_.-]+$/.test(name))
      throw new TypeError(`metadata has a name that cannot be sent: ${JSON.stringify(name)}`);
    if (reserved.has(name) || name.startsWith("grpc-")) throw new TypeError(`metadata must not have ${name}`);
    if (name.endsWith("-bin") !== (typeof value !== "string")) {
      throw new TypeError(`metadata must have ${name} as ${typeof value === "string" ? "bytes" : "a string"}`);
    }
    if (typeof value !== "string") return [name, base64(value)];
    // The value may be a credential, so it is not shown.
    if (!/^[\x20-\x7e]*$/.test(value) || value.trim() !== value) {
      throw new TypeError(`metadata has a value of ${name} that cannot be sent`);
    }
    return [name, value];
  });
}

/** @throws TypeError for what is no path of a method */
export function checkPath(path: string): void {
  if (!/^\/[\x21-\x7e]*$/.test(path)) throw new TypeError(`not the path of a method: ${JSON.stringify(path)}`);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replace(/=+$/, "");
}
