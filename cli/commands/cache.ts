import { prefix } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { delimitedPrefix } from "../delimited-prefix.ts";
import { durationText } from "../duration.ts";
import { textField, timeField } from "../json-fields.ts";

export const cacheList: Command = {
  name: "cache ls",
  arguments: ["PREFIX"],
  summary: "what a CacheExpirer keeps, and for how long",
  async run({ words: [given = ""], etcd, output, signal }) {
    const below = delimitedPrefix(given);
    const ids: TrackedId[] = [];
    for await (const { keyBytes, text, lease } of etcd().iterate(prefix(below), { signal })) {
      ids.push({ id: keyBytes.subarray(Buffer.byteLength(below)), expiresAt: timeField(expiresAtIn(text)), lease });
    }
    output.table(
      ["id", "expires", "lease"],
      ids,
      ({ id, expiresAt, lease }) => ({ id: Buffer.from(id).toString(), expires: expiry(expiresAt), lease }),
      ({ id, expiresAt, lease }) => ({ ...textField("id", id), expiresAt, lease }),
    );
    return undefined;
  },
};

interface TrackedId {
  readonly id: Uint8Array;
  readonly expiresAt: string | undefined;
  readonly lease: string | undefined;
}

function expiry(at: string | undefined): string {
  if (at === undefined) return "never";
  const leftMs = Date.parse(at) - Date.now();
  return leftMs > 0 ? `in ${durationText(leftMs)}` : "now";
}

function expiresAtIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { expiresAt?: unknown } | null)?.expiresAt;
  } catch {
    return undefined;
  }
}
