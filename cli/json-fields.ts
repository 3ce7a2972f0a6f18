/**
 * A field for text of etcd's; for bytes that are not UTF-8 `keyBase64` instead of `key`, as the library writes a
 * `KeyValue` to JSON.
 */
export function textField(name: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  const { buffer, byteOffset, length } = bytes;
  const stored = Buffer.from(buffer, byteOffset, length);
  const text = stored.toString("utf8");
  if (!text.includes("\ufffd") || Buffer.from(text).equals(stored)) return { [name]: text };
  return { [`${name}Base64`]: stored.toString("base64") };
}

/** A time as JSON has it here. @returns undefined for what is none: values in etcd can be written by anyone */
export function timeField(ms: unknown): string | undefined {
  const time = new Date(typeof ms === "number" ? ms : Number.NaN);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}
