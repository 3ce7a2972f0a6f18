import { Gateway } from "./gateway.ts";
import type { Secrets } from "./secrets.ts";

export interface GetOptions {
  /** Linearizable, unless this is true: then a member without a leader answers too. */
  readonly serializable?: boolean;
  /** @default 30000 */
  readonly timeoutMs?: number;
  readonly secrets?: Secrets | undefined;
}

export async function put(endpoint: string, key: string, value: string, secrets?: Secrets): Promise<void> {
  await new Gateway(endpoint, secrets).post("kv/put", { key: encode(key), value: encode(value) }, 30_000);
}

export async function get(endpoint: string, key: string, options: GetOptions = {}): Promise<string | undefined> {
  const { serializable = false, timeoutMs = 30_000, secrets } = options;
  const answer = await new Gateway(endpoint, secrets).post("kv/range", { key: encode(key), serializable }, timeoutMs);
  const { kvs } = answer as { kvs?: { value: string }[] };
  return kvs?.[0] && Buffer.from(kvs[0].value, "base64").toString();
}

/** @param prefix ends with "/" */
export async function deletePrefix(endpoint: string, prefix: string): Promise<void> {
  // The end of a prefix's range: its last byte, "/", plus one.
  const rangeEnd = `${prefix.slice(0, -1)}0`;
  await new Gateway(endpoint).post("kv/deleterange", { key: encode(prefix), range_end: encode(rangeEnd) });
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}
